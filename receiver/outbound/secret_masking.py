"""Keeps secrets out of everything that is written or answered.

A text is read as whoever gets it could read it: escapes are resolved, layer by layer, and base 64
and hex decoded. Where a secret, or a telling part of one, shows in one of these readings, what it
was read from is masked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

from receiver.core.model import Json
from receiver.outbound.secret_decoding import Decoding, Span, decoded, decoded_end, unescaped
from receiver.outbound.secret_parts import revealing_parts
from receiver.outbound.secret_search import SHORTEST, SearchTerms

__all__ = ["MASK", "SHORTEST", "Masker"]

MASK = "[secret]"
ROUNDS = 6
"""Layers of escapes that are resolved: JSON in JSON in a URL in HTML has four."""
DEPTH = 3
"""Layers of base 64 and hex, with escapes between them."""
READ = 40
"""How many times its length a text is read at most, in all readings together. Ordinary ones come
to 2 to 8; more has only what was built to keep us busy, and it is masked as a whole."""
SPARE = 1 << 16
"""Bytes that are read in any case, so that no short text is too much."""
EACH = 16
"""Bytes that a reading counts for beside its own: short ones cost their handling."""
TAIL = 1 << 16
"""Bytes at a cut in which the beginning of a secret is looked for."""
FEW = 3
"""Bytes of a secret's beginning that are worth a cut where they are encoded."""


class Masker:
    """Replaces secrets in texts, in every spelling in which another side may echo them."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._needles = SearchTerms()
        for secret in secrets:
            self.learn(secret)

    def learn(self, secret: str) -> None:
        """Mask a further secret from here on.

        What it looks like with its own escapes resolved is one as well: it is compared in the
        readings of a text.
        """
        start = Decoding.of(secret.encode("utf-8", "surrogatepass"))
        for view in _rounds(start):
            reading = view.data.decode("utf-8", "replace")
            self._needles.add(reading)
            self._needles.add(reading.strip())
            for part in revealing_parts(reading.strip()):
                self._needles.add(part)

    def mask(self, text: str) -> str:
        """Return the text without the secrets."""
        if not self._needles or len(text) < SHORTEST:
            return text
        data = text.encode("utf-8", "surrogatepass")
        try:
            found = _whole(_Search(self._needles, len(data)).spans(Decoding.of(data)), data)
        except _TooMuch:
            return MASK
        if not found:
            return text
        edges = [0, *(edge for span in found for edge in span), len(data)]
        kept = [data[start:end] for start, end in list(pairwise(edges))[::2]]
        return MASK.join(one.decode("utf-8", "surrogatepass") for one in kept)

    def without_half(self, body: bytes) -> bytes:
        """Return a body that was cut, less what may be the beginning of a secret at its end."""
        if not self._needles:
            return body
        tail = body[-TAIL:]
        try:
            begun = [
                start for start, _ in _Search(self._needles, len(tail)).begun(Decoding.of(tail))
            ]
        except _TooMuch:
            begun = [0]
        return body[: len(body) - len(tail) + min(begun)] if begun else body

    def mask_tree(self, tree: Json) -> Json:
        """Return JSON without the secrets, in keys as well as in values."""
        if not self._needles:
            return tree
        if isinstance(tree, str):
            return self.mask(tree)
        if isinstance(tree, dict):
            return {self.mask(key): self.mask_tree(value) for key, value in tree.items()}
        if isinstance(tree, list):
            return [self.mask_tree(item) for item in tree]
        if isinstance(tree, int | float) and not isinstance(tree, bool):
            masked = self.mask(str(tree))  # a secret of digits alone may come back as a number
            return tree if masked == str(tree) else masked
        return tree


class _TooMuch(Exception):
    """A text would have to be read too often."""


class _Search:
    """All readings of one text, as long as it takes."""

    def __init__(self, needles: SearchTerms, size: int) -> None:
        self._needles = needles
        self._left = READ * size + SPARE

    def spans(self, view: Decoding, depth: int = 0) -> Iterator[Span]:
        """Yield where in the text a secret was read."""
        first, *others = self._read(view)
        for one in (first, *others):
            yield from self._needles.found_in(one)
        if depth < DEPTH:
            for one in (first, *others[-1:]):
                for inner in decoded(one):
                    yield from self.spans(inner, depth + 1)

    def begun(self, view: Decoding, depth: int = 0) -> Iterator[Span]:
        """Yield where the text ends with the beginning of a secret."""
        for cut in (False, True):
            first, *others = self._read(view, cut=cut)
            for one in (first, *others):
                yield from self._needles.begun_in(one, FEW if depth else 1)
            if depth < DEPTH:
                for one in (first, *others[-1:]):
                    for inner in decoded_end(one):
                        yield from self.begun(inner, depth + 1)

    def _read(self, view: Decoding, *, cut: bool = False) -> list[Decoding]:
        """Return the view, and each layer of its escapes resolved."""
        views = []
        for one in _rounds(view, cut=cut):
            self._left -= len(one.data) + EACH
            if self._left < 0:
                raise _TooMuch
            views.append(one)
        return views


def _rounds(view: Decoding, *, cut: bool = False) -> Iterator[Decoding]:
    view = view.without_half() if cut else view
    yield view
    for _ in range(ROUNDS):
        before, view = view, unescaped(view)
        if view is before:
            return
        view = view.without_half() if cut else view
        yield view


def _whole(spans: Iterator[Span], data: bytes) -> list[Span]:
    """Return them in order, joined where they touch, and widened to whole characters of UTF-8."""
    found: list[Span] = []
    for start, end in sorted(set(spans)):
        while data[start] & 0xC0 == 0x80:  # noqa: PLR2004 the mark of a byte that goes on
            start -= 1  # noqa: PLW2901 widened
        while end < len(data) and data[end] & 0xC0 == 0x80:  # noqa: PLR2004 likewise
            end += 1  # noqa: PLW2901 widened
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found
