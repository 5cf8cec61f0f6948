"""Keeps secrets out of everything that is written or answered."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

from receiver.model import Json

MASK = "[secret]"
SHORTEST = 4
"""Characters. A shorter value would be masked in the middle of common words, and so be told."""

TELLING_LINE = 16
"""Characters. A line of a key file is masked alone too; a brace or `true` in it is no secret."""


class Masker:
    """Replaces secrets in texts, in every spelling in which another side may echo them."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._forms: list[str] = []
        self._pattern: re.Pattern[str] | None = None
        self._learn(secrets)

    def learn(self, secret: str) -> None:
        """Mask a further secret from here on."""
        self._learn([secret])

    def _learn(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets for form in _forms(secret) if len(form) >= SHORTEST}
        self._forms = sorted(forms.union(self._forms), key=len, reverse=True)
        if self._forms:
            self._pattern = re.compile("|".join(map(re.escape, self._forms)))

    def mask(self, text: str) -> str:
        """Return the text without the secrets."""
        return self._pattern.sub(MASK, text) if self._pattern else text

    def without_half(self, body: bytes) -> bytes:
        """Return a body that was cut, less what may be the beginning of a secret at its end."""
        cut = 0
        for form in self._forms:
            whole = form.encode()
            lengths = range(min(len(whole) - 1, len(body)), cut, -1)
            cut = next((n for n in lengths if body.endswith(whole[:n])), cut)
        return body[: len(body) - cut]

    def mask_tree(self, tree: Json) -> Json:
        """Return JSON without the secrets, in keys as well as in values."""
        if self._pattern is None:
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


def _forms(secret: str) -> Iterator[str]:
    """Yield the spellings of one secret: plain, in JSON, in HTML, in a URL, in base 64."""
    if len(secret) < SHORTEST:
        return
    yield secret
    yield secret.strip()
    yield from (line for line in map(str.strip, secret.splitlines()) if len(line) >= TELLING_LINE)
    for escaped in (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]):
        yield escaped
        yield escaped.replace("/", "\\/")
        yield re.sub("[<>&]", lambda found: f"\\u{ord(found[0]):04x}", escaped)  # as Go has it
    yield html.escape(secret)
    yield html.escape(secret, quote=False)
    for quoted in (quote(secret), quote(secret, safe=""), quote_plus(secret)):
        yield quoted
        yield re.sub("%..", lambda found: found[0].lower(), quoted)
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):
            yield _inside_base64(encode(bytes(before) + secret.encode()).decode(), before)


def _inside_base64(encoded: str, before: int) -> str:
    """Keep the characters that are the same whatever stands before and behind.

    ``before`` bytes (0 to 2) shift the secret within a group of three, as the name in basic
    auth does; the characters that share bits with a neighbour are cut off.
    """
    whole = encoded.rstrip("=")
    cut = len(whole) * 6 % 8 != 0
    return whole[(0, 2, 3)[before] : len(whole) - cut]
