"""Finds the end of a body that is still arriving; the parser reads its contents afterwards."""

from __future__ import annotations

import re

LINE = 8192
"""Bytes of a line between chunks; the parser's own limit is a little lower."""

SIZE = re.compile(rb"[0-9A-Fa-f]{1,16}")
"""A chunk's size; one of more digits is no size that anybody sends."""


class Length:
    """A body of an announced length; as for `Chunks`, ``feed`` returns True once it has ended."""

    def __init__(self, length: int) -> None:
        self._finish = length

    def feed(self, data: bytes) -> bool:
        """Count the bytes; what stands behind the body belongs to the next request."""
        self._finish -= len(data)
        return self._finish <= 0


class Chunks:
    """A body in chunks (RFC 9112, section 7.1).

    It also ends where it is malformed or has more than ``limit`` bytes: the parser, which reads
    the same bytes afterwards, raises the error.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._line = bytearray()
        self._chunk = 0
        self._inside = 0
        self._framing = 0
        self._last = False

    def feed(self, data: bytes) -> bool:
        """Follow the bytes from chunk to chunk."""
        at = 0
        while at < len(data):
            if self._chunk:
                step = min(self._chunk, len(data) - at)
                self._chunk -= step
                self._inside += step
                at += step
                continue
            end = data.find(b"\n", at) + 1 or len(data)
            self._line += data[at:end]
            self._framing += end - at
            at = end
            if self._line.endswith(b"\n") and self._line_ends():
                return True
        too_long = len(self._line) > LINE or self._framing > self._limit + LINE
        return too_long or self._inside > self._limit

    def _line_ends(self) -> bool:
        """Read a whole line; return True if it ends the body, or is malformed."""
        line = bytes(self._line)
        self._line.clear()
        if self._last:
            return line == b"\r\n"
        size = line.partition(b";")[0].strip()
        if not SIZE.fullmatch(size):
            return True
        self._chunk = int(size, 16)
        self._last = self._chunk == 0
        if self._chunk:
            self._chunk += len(b"\r\n")
        return False
