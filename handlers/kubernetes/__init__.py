"""`kubernetes.*`: Jobs, objects and Events in a cluster."""

from __future__ import annotations

from typing import Any

from handlers.kubernetes import apply, delete, event, job, patch, read, restart, wait
from receiver.contract import Handler

__all__ = ["handlers"]

handlers: tuple[Handler[Any], ...] = tuple(
    one.handler for one in (apply, delete, event, job, patch, read, restart, wait)
)
