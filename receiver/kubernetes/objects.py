"""Objects of Kubernetes, as dicts: so that no field that is newer than us is lost."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]
"""An object of Kubernetes as the API server sent it."""
