"""The search terms of the masking: secrets and their revealing parts."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator

from receiver.outbound.secret_decoding import WHITE, Decoding, Span
from receiver.outbound.secret_parts import REVEALING

SHORTEST = 4
"""Characters. A shorter value would be masked in the middle of common words, which reveals it."""
LOOSE = WHITE + b"+"
"""Dropped before a long term is compared: it was split over lines, or has a form's spaces."""


class SearchTerms:
    """Terms are compared as bytes; long ones case-insensitively and without white space."""

    def __init__(self) -> None:
        self._exact: set[bytes] = set()
        self._loose: set[bytes] = set()
        self._packed: set[bytes] = set()

    def __bool__(self) -> bool:
        return bool(self._exact)

    def add(self, text: str) -> None:
        """Add a term, unless it is shorter than `SHORTEST`."""
        if len(text) < SHORTEST:
            return
        data = text.encode("utf-8", "surrogatepass")
        self._exact |= {data, data.replace(b" ", b"+"), *_in_latin_1(text)}
        loose = data.translate(None, LOOSE).lower()
        if len(loose.decode("utf-8", "surrogatepass")) >= REVEALING:
            self._loose.add(loose)
            return
        # Decodings begin at `LEAST` characters: a short term is searched for in its encoded forms.
        self._loose.add(data.hex().encode())
        shifts = (_inside_base_64(data, before) for before in range(3))
        self._packed |= {form for form in shifts if len(form) >= SHORTEST}

    def matches(self, view: Decoding) -> Iterator[Span]:
        """Yield where a term stands in this decoding."""
        yield from _matches(self._exact, view)
        if self._loose:
            yield from _matches(self._loose, view.without(LOOSE).lowered())
        if self._packed:
            yield from _matches(self._packed, view.packed())

    def partial_matches(self, view: Decoding, least: int) -> Iterator[Span]:
        """Yield where this decoding ends with the first ``least`` bytes of a term, or more."""
        yield from _partial_matches(self._exact, view, least)
        yield from _partial_matches(self._loose, view.without(LOOSE).lowered(), least)


def _matches(terms: Iterable[bytes], view: Decoding) -> Iterator[Span]:
    for term in terms:
        at = view.data.find(term)
        while at >= 0:
            yield view.span(at, at + len(term))
            at = view.data.find(term, at + len(term))


def _partial_matches(terms: Iterable[bytes], view: Decoding, least: int) -> Iterator[Span]:
    size = len(view.data)
    for term in terms:
        at = view.data.find(term[:1], max(0, size - len(term) + 1))
        while 0 <= at <= size - least:
            if term.startswith(view.data[at:]):
                yield view.span(at, size)
                break
            at = view.data.find(term[:1], at + 1)


def _in_latin_1(text: str) -> list[bytes]:
    """Return it in Latin-1, as `escape` of JavaScript and old services write it, if it fits."""
    try:
        return [] if text.isascii() else [text.encode("latin-1")]
    except UnicodeEncodeError:
        return []


def _inside_base_64(data: bytes, before: int) -> bytes:
    """Return the characters that are the same whatever stands before and behind.

    ``before`` bytes (0 to 2) shift the secret within a group of three, as the name in basic
    auth does; the characters that share bits with a neighbour are cut off.
    """
    whole = base64.b64encode(bytes(before) + data).rstrip(b"=")
    cut = len(whole) * 6 % 8 != 0
    return whole[(0, 2, 3)[before] : len(whole) - cut]
