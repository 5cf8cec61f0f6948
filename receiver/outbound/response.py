"""Reads an answer's head as strictly as RFC 9112 asks.

`http.client` is lenient: a head that broke off counts as whole, an invalid Content-Length as
missing, and half an answer could be read as a success.
"""

from __future__ import annotations

from email.errors import FirstHeaderLineIsContinuationDefect, MissingHeaderBodySeparatorDefect
from http.client import HTTPException, HTTPResponse
from typing import Any

NO_HEADER = (FirstHeaderLineIsContinuationDefect, MissingHeaderBodySeparatorDefect)
BLANK = (b"\r\n", b"\n")


class InvalidHttp(HTTPException):
    """The answer is no valid HTTP; the message quotes nothing of it."""


class StrictResponse(HTTPResponse):
    """A response whose head is whole, and whose length is a number."""

    def begin(self) -> None:
        """Read the head.

        Raises:
            InvalidHttp: it breaks off, has a line that is no header, or no usable length.
        """
        stream: Any = self.fp
        lines = _LastLineReader(stream)
        self.fp = lines  # type: ignore[assignment]  # it has all that reading the head needs
        try:
            super().begin()
        finally:
            if self.fp is not None:
                self.fp = stream
        if lines.last not in BLANK:
            raise InvalidHttp("its head breaks off")
        if any(isinstance(one, NO_HEADER) for one in self.msg.defects):
            raise InvalidHttp("a line of its head is no header")
        lengths = {one.strip() for value in self.msg.get_all("content-length", ())
                   for one in value.split(",")}  # fmt: skip
        if len(lengths) > 1:
            raise InvalidHttp("it has two lengths")
        if any(not (one.isascii() and one.isdecimal()) for one in lengths):
            raise InvalidHttp("its length is no number")


class _LastLineReader:
    """Reads a stream line by line and keeps the last line."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.last = b""

    def readline(self, limit: int) -> bytes:
        self.last = self._stream.readline(limit)
        return self.last

    def close(self) -> None:
        self._stream.close()
