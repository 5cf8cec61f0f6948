"""Notices that commits have come to a stand, so that nobody else begins to wait for one.

Where a network swallows everything, or a server is frozen, an error comes late or never. Each who
waits for it has one of the intake's threads; when all of them wait, nobody answers the probes, and
the processes are restarted for nothing. So those who come during a stall are refused at once; who
comes after it tries again for all, and until that has gone well, the others are refused as well.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from receiver.core.errors import LedgerUnavailable

STALL = 2.0
"""Seconds that are a stall; a commit takes some milliseconds, on a bad disk some hundred."""


class CircuitBreaker:
    """Watches one who commits, for the many who hand in.

    Attributes:
        failed: a commit that was stalled has failed, and none has gone well since.
    """

    def __init__(self) -> None:
        self._since: float | None = None
        self.failed = False

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Commit within the block; leave it by an error if that fails."""
        self._since = time.monotonic()
        try:
            yield
        except BaseException:
            self.failed = self.failed or self.stalled
            raise
        else:
            self.failed = False
        finally:
            self._since = None

    @property
    def committing(self) -> bool:
        """Whether somebody commits now."""
        return self._since is not None

    @property
    def stalled(self) -> bool:
        """Whether the commit under way is stalled."""
        since = self._since
        return since is not None and time.monotonic() - since > STALL

    def check(self) -> None:
        """Let nobody in who would only wait.

        Raises:
            LedgerUnavailable: there is a stall; or there was, and somebody is trying again.
        """
        if self.stalled or (self.failed and self.committing):
            raise LedgerUnavailable(f"the ledger has taken no write for more than {STALL:g} s")
