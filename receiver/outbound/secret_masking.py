"""Masks secrets in everything that is stored, logged or answered.

A text is decoded as its reader could decode it: escapes are resolved, layer by layer, and base 64
and hex decoded. Where a secret, or a revealing part of one, is found in one of these decodings, the
characters that it was decoded from are masked.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from itertools import pairwise

from receiver.core.credential_texts import MASK
from receiver.core.model import Json
from receiver.outbound.secret_decoding import (
    WHITE,
    Decoding,
    Span,
    decoded,
    decoded_end,
    unescaped,
)
from receiver.outbound.secret_parts import REVEALING, revealing_parts

ROUNDS = 6
"""Layers of escapes that are resolved: JSON in JSON in a URL in HTML has four."""
DEPTH = 3
"""Layers of base 64 and hex, with escapes between them."""
READ = 40
"""How many times its length a text is searched at most, in all decodings together. Ordinary texts
need 2 to 8; one that needs more was built to keep us busy, and is masked as a whole."""
SPARE = 1 << 16
"""Bytes that are searched in any case, so that no short text is masked for its cost."""
EACH = 16
"""Bytes that each decoding counts for beside its own: short ones have their cost too."""
TAIL = 1 << 16
"""Bytes before a cut in which the beginning of a secret is searched for."""
FEW = 3
"""Bytes of a secret's beginning, encoded, from which on they are removed at a cut."""
SHORTEST = 4
"""Characters. A shorter value would be masked in the middle of common words, which reveals it."""
LOOSE = WHITE + b"+"
"""Dropped before a long term is compared: it was split over lines, or has a form's spaces."""


class Masker:
    """Replaces secrets in texts, in every encoding in which another side may echo them."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._terms = SearchTerms()
        for secret in secrets:
            self.add_secret(secret)

    def add_secret(self, secret: str) -> None:
        """Mask a further secret from here on.

        Its own escapes are resolved as well, since it is searched for in the decodings of a text.
        """
        start = Decoding.of(secret.encode("utf-8", "surrogatepass"))
        for view in _unescaped_layers(start):
            decoded_text = view.data.decode("utf-8", "replace")
            stripped = decoded_text.strip()
            for term in (decoded_text, stripped, *revealing_parts(stripped)):
                self._terms.add(term)

    def mask(self, text: str) -> str:
        """Return the text without the secrets."""
        if not self._terms or len(text) < SHORTEST:
            return text
        data = text.encode("utf-8", "surrogatepass")
        try:
            found = _merged(_Search(self._terms, len(data)).spans(Decoding.of(data)), data)
        except _BudgetExceeded:
            return MASK
        if not found:
            return text
        edges = [0, *(edge for span in found for edge in span), len(data)]
        kept = [data[start:end] for start, end in list(pairwise(edges))[::2]]
        return MASK.join(one.decode("utf-8", "surrogatepass") for one in kept)

    def without_partial_secret(self, body: bytes) -> bytes:
        """Return a body that was cut, without what may be the beginning of a secret at its end."""
        if not self._terms:
            return body
        tail = body[-TAIL:]
        try:
            partial = _Search(self._terms, len(tail)).partial(Decoding.of(tail))
            kept = min((start for start, _ in partial), default=len(tail))
        except _BudgetExceeded:
            kept = 0
        return body[: len(body) - len(tail) + kept]

    def mask_tree(self, tree: Json) -> Json:
        """Return JSON without the secrets, in keys as well as in values."""
        if not self._terms:
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


class _BudgetExceeded(Exception):
    """A text has too many decodings."""


class _Search:
    """Searches all decodings of one text, within a budget."""

    def __init__(self, terms: SearchTerms, size: int) -> None:
        self._terms = terms
        self._left = READ * size + SPARE

    def spans(self, view: Decoding, depth: int = 0) -> Iterator[Span]:
        """Yield where in the text a secret was found."""
        first, *others = self._read(view)
        for one in (first, *others):
            yield from self._terms.matches(one)
        if depth < DEPTH:
            for one in (first, *others[-1:]):
                for inner in decoded(one):
                    yield from self.spans(inner, depth + 1)

    def partial(self, view: Decoding, depth: int = 0) -> Iterator[Span]:
        """Yield where the text ends with the beginning of a secret."""
        for cut in (False, True):
            first, *others = self._read(view, cut=cut)
            for one in (first, *others):
                yield from self._terms.partial_matches(one, FEW if depth else 1)
            if depth < DEPTH:
                for one in (first, *others[-1:]):
                    for inner in decoded_end(one):
                        yield from self.partial(inner, depth + 1)

    def _read(self, view: Decoding, *, cut: bool = False) -> list[Decoding]:
        """Return the view, and each layer of its escapes resolved."""
        views = []
        for one in _unescaped_layers(view, cut=cut):
            self._left -= len(one.data) + EACH
            if self._left < 0:
                raise _BudgetExceeded
            views.append(one)
        return views


def _unescaped_layers(view: Decoding, *, cut: bool = False) -> Iterator[Decoding]:
    view = view.without_partial_escape() if cut else view
    yield view
    for _ in range(ROUNDS):
        before, view = view, unescaped(view)
        if view is before:
            return
        view = view.without_partial_escape() if cut else view
        yield view


def _merged(spans: Iterator[Span], data: bytes) -> list[Span]:
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
