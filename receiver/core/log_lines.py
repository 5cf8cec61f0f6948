"""Writes the log's lines, and lets nothing that it writes for die of a line that is not taken.

Whoever reads stdout may go away (EPIPE), and the disk that it goes to may be full (ENOSPC). A line
that is lost is counted; the trail in the ledger has what happened all the same.
"""

from __future__ import annotations

import sys
import threading
from contextlib import suppress
from typing import TextIO

import structlog


class Lost:
    """How many lines this process could not write.

    Attributes:
        lines: since it began.
        untold: since that was last told.
    """

    def __init__(self) -> None:
        self.lines = 0
        self.untold = 0
        self._lock = threading.Lock()

    def add(self) -> bool:
        """Count one; whether it is the first since that was last told."""
        with self._lock:
            self.lines += 1
            self.untold += 1
            return self.untold == 1

    def take(self) -> int:
        """Return how many have not been told, and count anew."""
        with self._lock:
            untold, self.untold = self.untold, 0
            return untold


_lost = Lost()


def lost_lines() -> int:
    """Return how many lines of the log this process could not write."""
    return _lost.lines


class Lines:
    """What structlog writes with, in the place of its own `PrintLogger`.

    A stream with a raw one below is written to without a buffer: what a buffer holds after an error
    would be written later, beside the lines that were counted as lost.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._raw = getattr(getattr(stream, "buffer", None), "raw", None)
        self._lock = threading.Lock()

    def msg(self, message: str) -> None:
        """Write a line, or count it as lost; how many were follows the next that is written."""
        try:
            with self._lock:
                self._write(f"{message}\n")
        except (OSError, ValueError) as error:  # a ValueError says that it was closed
            self._lose(error)
            return
        if untold := _lost.take():
            structlog.get_logger().warning("log.lost", lines=untold)

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
            data = data[self._raw.write(data) or _refuse() :]

    def _lose(self, error: Exception) -> None:
        if _lost.add():
            with suppress(OSError, ValueError, AttributeError):
                sys.stderr.write(f"postsync: stdout takes no line of the log: {error}\n")
                sys.stderr.flush()


def _refuse() -> int:
    raise BlockingIOError("it is full, and was set to wait for nobody")
