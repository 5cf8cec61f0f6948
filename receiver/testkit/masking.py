"""Masks a text once for all attempts with the same secrets."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from receiver.outbound.secret_masking import Masker


class RememberingMasker(Masker):
    """Looks up what it has masked before: what is masked depends on secrets and text alone.

    A handler's table has dozens of answers that echo the same secrets; to search one such text,
    which has hundreds of them, takes longer than all else of an attempt.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets: frozenset[str] = frozenset()
        super().__init__(secrets)

    def add_secret(self, secret: str) -> None:
        """Mask a further secret from here on."""
        self._secrets |= {secret}
        super().add_secret(secret)

    def mask(self, text: str) -> str:
        """Return the text without the secrets."""
        return _masked(self._secrets, text)


@lru_cache(maxsize=256)
def _masked(secrets: frozenset[str], text: str) -> str:
    return _masker(secrets).mask(text)


@lru_cache(maxsize=16)
def _masker(secrets: frozenset[str]) -> Masker:
    return Masker(secrets)
