"""The lines of an answer that goes on for as long as its server has something to tell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from receiver.core.errors import TemporaryError


def whole_lines(pieces: Iterable[bytes], longest: int) -> Iterator[bytes]:
    """Yield the lines of a body that comes in pieces, those that are not empty.

    Raises:
        TemporaryError: a line has more than ``longest`` bytes, or the body ends within one.
    """
    begun: list[bytes] = []
    size = 0
    for piece in pieces:
        first, *others = piece.split(b"\n")
        begun.append(first)
        size += len(first)
        for one in others:
            if line := b"".join(begun).strip():
                yield line
            begun, size = [one], len(one)
        if size > longest:
            raise TemporaryError(f"a line of the answer has more than {longest} bytes")
    if b"".join(begun).strip():
        raise TemporaryError("the connection was closed before the answer's end")
