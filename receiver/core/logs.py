"""structlog, set up once: JSON lines on stdout, pretty lines on a terminal.

The lines are the trail's events as they were committed to the ledger, and the few
that have no sync (a start, a reload, a signal).
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Any, Literal, cast

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from receiver.core.log_lines import LineLogger
from receiver.core.model import Event, rfc3339
from receiver.core.terminal_text import escape_controls

Log = FilteringBoundLogger

WARNINGS = frozenset(
    {
        "notification.refused",
        "attempt.failed",
        "attempt.lost",
        "plan.failed",
        "rule.error",
        "rules.refused",
        "rules.warning",
        "run.failed",
        "sync.failed",
        "sync.replay_refused",
    }
)


def _stamp(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Begin every line alike: time, level, event."""
    at = event.pop("at", None) or rfc3339(datetime.now(UTC))
    return {"at": at, "level": event.pop("level"), "event": event.pop("event"), **event}


def escape(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Escape what a terminal would obey; JSON is escaped by itself. A traceback keeps its lines."""
    return {
        key: "\n".join(map(escape_controls, value.split("\n")))
        if key == "exception"
        else _escaped(value)
        for key, value in event.items()
    }


def _escaped(value: Any) -> Any:
    return (
        escape_controls(value) if isinstance(value, str) else value
    )  # the rest is shown as its `repr`


def configure_logs(style: Literal["auto", "json", "console"] = "auto") -> Log:
    """Set structlog up for this process and return the logger."""
    terminal = sys.stdout is not None and sys.stdout.isatty()
    console = style == "console" or (style == "auto" and terminal)
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(colors=terminal, timestamp_key="at", sort_keys=False)
        if console
        else structlog.processors.JSONRenderer(sort_keys=False)
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            _stamp,
            structlog.processors.format_exc_info,
            *([escape] if console else []),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger("info"),
        logger_factory=lambda *_: LineLogger(sys.stdout),
        cache_logger_on_first_use=True,
    )
    return cast("Log", structlog.get_logger())


def write_event(log: Log, event: Event, at: str) -> None:
    """Write one committed event of the trail; ``at`` is its time in the ledger."""
    ids = {
        "delivery": event.delivery,
        "sync": event.sync,
        "plan": event.plan,
        "run": event.run,
        "attempt": event.attempt,
    }
    named = {name: value for name, value in ids.items() if value}
    method = log.warning if event.name in WARNINGS else log.info
    method(event.name, at=at, **named, **event.data)
