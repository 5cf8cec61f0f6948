"""`kubernetes.*`: Jobs, objects and Events in a cluster."""

from __future__ import annotations

from typing import Any

from handlers.kubernetes.job import handler as job
from receiver.contract import Handler

__all__ = ["handlers"]

handlers: tuple[Handler[Any], ...] = (job,)
