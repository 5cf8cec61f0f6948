"""structlog, set up once: JSON lines on stdout, pretty lines on a terminal.

The lines are the trail's events as they were committed to the ledger, and the few
that have no sync (a start, a reload, a signal). A line that cannot be written raises nothing:
whoever reads stdout may go away (EPIPE), and the disk that it goes to may be full (ENOSPC). It is
counted; the trail has what happened all the same.
"""

from __future__ import annotations

import json
import sys
import threading
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Literal, TextIO, cast

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from receiver.core.model import Event, rfc3339
from receiver.core.terminal_text import escape_controls

Log = FilteringBoundLogger

WARNINGS = frozenset(
    {
        "connection.failed",
        "notification.refused",
        "operation.missed",
        "attempt.failed",
        "attempt.lost",
        "plan.failed",
        "rule.error",
        "rules.refused",
        "rules.warning",
        "run.failed",
        "sync.failed",
        "sync.replay_refused",
        "watch.failed",
    }
)

ENCODE = json.JSONEncoder(default=repr).encode
Filtering: Any = structlog.make_filtering_bound_logger("info")


class _JsonLogger(Filtering):  # type: ignore[misc]  # structlog makes the class
    """structlog's logger, with a short way for the trail.

    Its events are most of all lines, and the chain of processors costs twice as much as the rest.
    """

    def write_event(self, event: Event, at: str, level: str, ids: dict[str, Any]) -> None:
        """Write what the processors would make of an event."""
        head = {"at": at, "level": level, "event": event.name}
        self._logger.msg(ENCODE({**head, **self._context, **ids, **event.data}))


def _stamp(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Begin every line alike: time, level, event."""
    at = event.pop("at", None) or rfc3339(datetime.now(UTC))
    return {"at": at, "level": event.pop("level"), "event": event.pop("event"), **event}


def escape(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Escape what a terminal would obey; JSON is escaped by itself. A traceback keeps its lines."""
    texts = {key: escape_controls(value) for key, value in event.items() if isinstance(value, str)}
    if "exception" in event:
        texts["exception"] = "\n".join(map(escape_controls, event["exception"].split("\n")))
    return {**event, **texts}


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
        wrapper_class=Filtering if console else _JsonLogger,
        logger_factory=lambda *_: LineLogger(sys.stdout),
        cache_logger_on_first_use=True,
    )
    return cast("Log", structlog.get_logger())


def write_event(log: Log, event: Event, at: str) -> None:
    """Write one committed event of the trail; ``at`` is its time in the ledger."""
    ids = ("delivery", "sync", "plan", "run", "attempt")
    named = {name: value for name in ids if (value := getattr(event, name))}
    level = "warning" if event.name in WARNINGS else "info"
    if short := getattr(log, "write_event", None):
        short(event, at, level, named)
    else:
        getattr(log, level)(event.name, at=at, **named, **event.data)


class LostLines:
    """How many lines this process could not write, and of them how many no ``log.lost`` told."""

    def __init__(self) -> None:
        self.lines = 0
        self.unreported = 0
        self._lock = threading.Lock()

    def add(self) -> bool:
        """Count one; return whether it is the first that is unreported."""
        with self._lock:
            self.lines += 1
            self.unreported += 1
            return self.unreported == 1

    def take(self) -> int:
        """Return how many are unreported, and begin to count them anew."""
        with self._lock:
            unreported, self.unreported = self.unreported, 0
            return unreported


_lost = LostLines()


def lost_lines() -> int:
    """Return how many lines of the log this process could not write."""
    return _lost.lines


class LineLogger:
    """The logger under structlog, in the place of its own `PrintLogger`.

    A stream with a raw one below is written to without a buffer: what a buffer holds after an error
    would be written later, beside the lines that were counted as lost.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._raw = getattr(getattr(stream, "buffer", None), "raw", None)
        self._lock = threading.Lock()

    def msg(self, message: str) -> None:
        """Write a line, or count it as lost; the next line that is written reports how many."""
        try:
            with self._lock:
                self._write(f"{message}\n")
        except (OSError, ValueError) as error:  # a ValueError says that it was closed
            self._lose(error)
            return
        if unreported := _lost.take():
            structlog.get_logger().warning("log.lost", lines=unreported)

    debug = info = warning = error = critical = msg

    def _write(self, text: str) -> None:
        if self._stream is None:
            raise OSError("the process was started without one")
        if self._raw is None:
            self._stream.write(text)
            self._stream.flush()
            return
        data = text.encode(errors="backslashreplace")
        while data:
            written = self._raw.write(data)
            if not written:
                raise BlockingIOError("it is full, and was set to wait for nobody")
            data = data[written:]

    def _lose(self, error: Exception) -> None:
        if _lost.add():
            with suppress(OSError, ValueError, AttributeError):
                sys.stderr.write(f"postsync: stdout takes no line of the log: {error}\n")
                sys.stderr.flush()
