"""A span that cannot be written keeps nobody from anything: it is told, and that is all."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import structlog

P = ParamSpec("P")
T = TypeVar("T")


def harmless(call: Callable[P, T]) -> Callable[P, T | None]:
    """Return None where the call raises; that is a bug of ours, and on the log."""

    @wraps(call)
    def guarded(*args: P.args, **named: P.kwargs) -> T | None:
        try:
            return call(*args, **named)
        except Exception:  # noqa: BLE001 see above
            structlog.get_logger().error("tracing.bug", traceback=traceback.format_exc())
            return None

    return guarded
