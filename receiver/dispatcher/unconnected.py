"""Lets go of syncs that wait for live objects which nobody is there to read any more.

Their sender's connection was taken out of the settings, or its name was changed, while they waited.
They wait until their deadline all the same: another dispatcher may have the connection.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

from receiver.core.logs import Log
from receiver.dispatcher.companion import IDLE, CompanionThread
from receiver.dispatcher.verification_events import unverified_event
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.plans.load import stored_sync
from receiver.ledger.plans.verification import VerifyingSync, overdue_syncs, store_observed
from receiver.notification.live_verdicts import Observed

MOST_SYNCS = 64
"""Syncs of one round."""

LATER = 60_000
"""Milliseconds after the deadline: who has the connection gives a sync up by then."""


class Unconnected(CompanionThread):
    """Has such syncs planned by their messages, in a thread of its own.

    Args:
        senders: those that have a connection.
        ledger: where syncs wait.
        wake: called when syncs can be planned.
        log: gets the lines of the trail.
    """

    def __init__(
        self, senders: Collection[str], ledger: Ledger, wake: Callable[[], None], log: Log
    ) -> None:
        super().__init__("verification-of-others", ledger, wake, log)
        self._senders = senders

    def notify(self) -> None:
        """Do nothing: what the loop has planned waits for a minute at least."""

    def _round(self) -> float:
        with self._ledger.read() as connection:
            before = self._ledger.now(connection) - LATER
            left = overdue_syncs(connection, self._senders, before, MOST_SYNCS)
        for one in left:
            self._let_go(one)
        return IDLE

    def _let_go(self, sync: VerifyingSync) -> None:
        def write(uow: UnitOfWork) -> None:
            stored = stored_sync(uow.connection, sync.id)
            reason = f"sender {stored.sender} has no connection any more"
            recalled = replace(stored.recalled, observed=Observed(unasked=True))
            event = unverified_event(stored, sync.application, reason)
            store_observed(uow, sync.id, recalled, event)

        self._commit(write)
