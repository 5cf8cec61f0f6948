"""What one Application's owner may see: its own syncs, notified by the sender that it belongs to.

Argo CD has decided that the user may see the Application in the project that it belongs to now.
A sync whose notification names another project is not shown: it was made before the Application
came to this one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.queries.application import (
    Collected,
    collected_with,
    runs_of_sync,
    syncs_of_application,
    with_plans,
)
from receiver.ledger.queries.application_rows import ApplicationRuns, ApplicationSyncs
from receiver.ledger.queries.rows import Sync

MOST = 100
"""Syncs of an Application that are looked at, so that one among them is found by its id."""


@dataclass(frozen=True, slots=True)
class ApplicationOf:
    """An Application of a sender, ``namespace/name``, in its project."""

    sender: str
    application: str
    project: str


class ApplicationView:
    """Reads the syncs of one Application at a time.

    Raises:
        LedgerUnavailable: (every method) the ledger cannot be read.
    """

    def __init__(self, ledger: Ledger, page_url: str | None = None) -> None:
        self._ledger = ledger
        self._page = f"{page_url.rstrip('/')}/page/syncs" if page_url else None

    def syncs(self, whose: ApplicationOf, limit: int) -> ApplicationSyncs:
        """List its newest syncs with their plans."""
        found = [one for one in self._newest(whose, limit) if self._is_of(whose, one)]
        with self._ledger.read() as connection:
            # In the same state: a plan may collect another sync at any time.
            collected = collected_with(connection, [one["id"] for one in found])
            closed = self._closed(whose, collected)
            syncs = with_plans(connection, self._ledger.now(connection), found, closed)
        return {
            "application": whose.application, "project": whose.project, "page": self._page,
            "syncs": syncs,
        }  # fmt: skip

    def runs(self, whose: ApplicationOf, sync: str) -> ApplicationRuns | None:
        """List the runs of one of its newest syncs; None if it is none of them."""
        newest = self._newest(whose, MOST)
        if not any(one["id"] == sync and self._is_of(whose, one) for one in newest):
            return None
        with self._ledger.read() as connection:
            closed = self._closed(whose, collected_with(connection, [sync]))
            return runs_of_sync(connection, self._ledger.now(connection), sync, closed)

    def _newest(self, whose: ApplicationOf, limit: int) -> list[Sync]:
        with self._ledger.read() as connection:
            return syncs_of_application(connection, whose.sender, whose.application, limit)

    def _closed(self, whose: ApplicationOf, collected: Sequence[Collected]) -> frozenset[str]:
        """Return the plans that act on others' resources, too: they have collected their syncs."""
        return frozenset(
            one.plan
            for one in collected
            if (one.sender, one.application) != (whose.sender, whose.application)
            or one.project not in {"", whose.project}
        )

    def _is_of(self, whose: ApplicationOf, sync: Sync) -> bool:
        return sync["project"] in {"", whose.project}
