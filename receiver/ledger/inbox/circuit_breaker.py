"""A circuit breaker for commits: while one is stalled, further requests are refused at once.

Where a network drops everything, or a server is frozen, an error comes late or never. Each request
that waits for it has one of the intake's threads; when all of them wait, nobody answers the probes,
and the processes are restarted for nothing. So requests that come during a stall are refused. The
first one after it tries again for all; until its commit succeeds, the others are refused as well.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from receiver.core.errors import LedgerUnavailable

STALL = 2.0
"""Seconds after which a commit is stalled; one takes some ms, on a bad disk some hundred."""


class CircuitBreaker:
    """Watches the commits of the writer's thread, for the requests that wait for them.

    Attributes:
        failed: a stalled commit has failed, and none has succeeded since.
    """

    def __init__(self) -> None:
        self._since: float | None = None
        self.failed = False

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Watch the commit in the block, which raises if it fails."""
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
        """Whether a commit is under way."""
        return self._since is not None

    @property
    def stalled(self) -> bool:
        """Whether the commit under way is stalled."""
        since = self._since
        return since is not None and time.monotonic() - since > STALL

    def check(self) -> None:
        """Refuse whoever would only wait.

        Raises:
            LedgerUnavailable: a commit is stalled; or one was, and another is tried.
        """
        if self.stalled or (self.failed and self.committing):
            raise LedgerUnavailable(f"the ledger has taken no write for more than {STALL:g} s")
