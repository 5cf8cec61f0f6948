"""Chooses the thread pool of a request, and whether its body is read, by its head alone."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

ADMISSION = "postsync.admission"
"""Among the app's extensions: its `Admission`. Without one, all requests count as authenticated."""

TOKENLESS = frozenset({"/metrics"})
"""Paths that need no token, and are served by the pool for requests without one."""


class Pool(StrEnum):
    """The thread pools: one for each kind of request, so that none waits behind another kind."""

    AUTHENTICATED = "known"
    """Requests with a valid token; these may wait for the ledger."""
    UNAUTHENTICATED = "strangers"
    """Requests without one; they are refused, or need none."""
    HEALTH = "health"
    """The liveness probe, whatever else is requested."""
    READINESS = "readiness"
    """The readiness probe, which may wait for the ledger."""


PROBES = {"/healthz": Pool.HEALTH, "/readyz": Pool.READINESS}


class Admission:
    """Chooses by path and token.

    Args:
        is_known: whether the token in an Authorization header is known; called with False where
            nothing may wait for a disk, with True where the token files may be read again.
    """

    def __init__(self, is_known: Callable[[str, bool], bool]) -> None:
        self._is_known = is_known

    def pool(self, path: str, authorization: str) -> Pool:
        """Return the pool, without touching a disk."""
        if path in PROBES:
            return PROBES[path]
        known = path not in TOKENLESS and self._is_known(authorization, False)
        return Pool.AUTHENTICATED if known else Pool.UNAUTHENTICATED

    def is_known_now(self, authorization: str) -> bool:
        """Return whether a token is known after its files were read again."""
        return self._is_known(authorization, True)
