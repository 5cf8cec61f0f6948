"""Reads an answer's head as strictly as RFC 9112 asks.

`http.client` takes what it can get: a head that broke off counts as whole, a Content-Length that
is none as missing, and a success could be read out of half an answer.
"""

from __future__ import annotations

from email.errors import FirstHeaderLineIsContinuationDefect, MissingHeaderBodySeparatorDefect
from http.client import HTTPException, HTTPResponse
from typing import Any

NO_HEADER = (FirstHeaderLineIsContinuationDefect, MissingHeaderBodySeparatorDefect)
BLANK = (b"\r\n", b"\n")


class InvalidHttp(HTTPException):
    """What was answered is no valid HTTP; the reason is in our words, nothing of it is quoted."""


class StrictResponse(HTTPResponse):
    """A response whose head is whole, and whose length is a number."""

    def begin(self) -> None:
        """Read the head.

        Raises:
            InvalidHttp: it breaks off, has a line that is no header, or no usable length.
        """
        stream: Any = self.fp
        lines = _Lines(stream)
        self.fp = lines  # type: ignore[assignment]  # all that is asked of it while the head is read
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


class _Lines:
    """A stream that is read line by line, and knows the last one."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.last = b""

    def readline(self, limit: int) -> bytes:
        self.last = self._stream.readline(limit)
        return self.last

    def close(self) -> None:
        self._stream.close()
