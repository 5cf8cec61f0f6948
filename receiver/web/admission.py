"""Which threads answer a request, and whether its body is worth being kept: by its head alone."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

ADMISSION = "postsync.admission"
"""Among the app's extensions: its `Admission`. Without one, all requests are those of friends."""

TOKENLESS = frozenset({"/metrics"})
"""Asked for without a token, also by who has one."""


class Lane(StrEnum):
    """Threads of their own for each kind of request, so that none waits behind another kind."""

    KNOWN = "known"
    """Whoever has a token; these may wait for the ledger."""
    STRANGERS = "strangers"
    """Whoever has none; what they ask for is refused, or needs none."""
    HEALTH = "health"
    """Whether this process is alive, whatever else it is asked."""
    READINESS = "readiness"
    """Whether it can store; that may wait for the ledger."""


PROBES = {"/healthz": Lane.HEALTH, "/readyz": Lane.READINESS}


class Admission:
    """Judges by path and token.

    Args:
        knows: whether the token in an Authorization header is known; asked with False where
            nobody may wait for a disk, and with True where the files may be looked at.
    """

    def __init__(self, knows: Callable[[str, bool], bool]) -> None:
        self._knows = knows

    def lane(self, path: str, authorization: str) -> Lane:
        """Choose the threads, without touching a disk."""
        if path in PROBES:
            return PROBES[path]
        known = path not in TOKENLESS and self._knows(authorization, False)
        return Lane.KNOWN if known else Lane.STRANGERS

    def known_by_now(self, authorization: str) -> bool:
        """Tell whether a token is known after all: its file may be a new one."""
        return self._knows(authorization, True)
