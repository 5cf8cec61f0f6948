"""Writes the log's lines to stdout; a line that cannot be written raises nothing.

Whoever reads stdout may go away (EPIPE), and the disk that it goes to may be full (ENOSPC). A lost
line is counted; the trail in the ledger has what happened all the same.
"""

from __future__ import annotations

import sys
import threading
from contextlib import suppress
from typing import TextIO

import structlog


class LostLines:
    """How many lines this process could not write.

    Attributes:
        lines: since the process began.
        unreported: since the last ``log.lost``.
    """

    def __init__(self) -> None:
        self.lines = 0
        self.unreported = 0
        self._lock = threading.Lock()

    def add(self) -> bool:
        """Count one; return whether it is the first since the last ``log.lost``."""
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
            data = data[self._raw.write(data) or _raise_blocked() :]

    def _lose(self, error: Exception) -> None:
        if _lost.add():
            with suppress(OSError, ValueError, AttributeError):
                sys.stderr.write(f"postsync: stdout takes no line of the log: {error}\n")
                sys.stderr.flush()


def _raise_blocked() -> int:
    raise BlockingIOError("it is full, and was set to wait for nobody")
