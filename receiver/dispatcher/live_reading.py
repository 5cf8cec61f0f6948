"""Reads the live objects of one Application in behalf of its syncs, and tells what was seen."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Collection, Sequence
from typing import TypeVar

from receiver.argocd.connection import Connection, ConnectionFailed
from receiver.argocd.objects import ApplicationState
from receiver.core.errors import LedgerUnavailable
from receiver.core.interruption import TooLong
from receiver.core.logs import Log
from receiver.dispatcher.handover import Handover, SeenSync
from receiver.dispatcher.observation import Asked, observe
from receiver.dispatcher.verification_events import unverified_event, verified_event
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.plans.field_values import FieldPlace, load_fields
from receiver.ledger.plans.load import stored_sync
from receiver.ledger.plans.records import StoredSync
from receiver.ledger.plans.verification import VerifyingSync
from receiver.notification.field_memory import FieldMemory
from receiver.notification.live_verdicts import Observed
from receiver.planning.planner import Planner
from receiver.rules.tenants.shares import Shares, sharing

LONGEST_READ = 20.0
"""Seconds that one Application may be read; after so many a round begins no other."""

LONGEST_MATCH = 10.0
"""Processor seconds that matching one Application's syncs may take, as in planning; namespaces have
shares beside it likewise."""

T = TypeVar("T")


class LiveReading:
    """Reads by one connection.

    Args:
        sender: whose syncs.
        connection: how its cluster is asked.
        ledger: has the syncs.
        handover: has some of them as they were read for their planning.
        managers: names that Argo CD goes by as a manager of fields.
        log: is told of a bug.
    """

    def __init__(
        self, sender: str, connection: Connection, ledger: Ledger, handover: Handover,
        managers: Collection[str], log: Log,
    ) -> None:  # fmt: skip
        self._sender = sender
        self._connection = connection
        self._ledger = ledger
        self._handover = handover
        self._managers = managers
        self._log = log

    def read(self, planner: Planner, syncs: Sequence[VerifyingSync]) -> list[SeenSync]:
        """Read what is wanted for syncs of one Application.

        Raises:
            ConnectionFailed: nothing can be read now.
        """

        def recall(state: ApplicationState) -> tuple[FieldPlace, FieldMemory]:
            place = FieldPlace.of(self._sender, state)
            return place, load_fields(self._ledger, place)

        def read() -> list[SeenSync]:
            asked = [self._asked(planner, one) for one in syncs]
            deadline = time.monotonic() + LONGEST_READ
            seen = observe(self._connection, planner, asked, self._managers, recall, deadline)
            by = self._connection.name
            return [
                # What is read for a replay is planned by the ledger's list of replays.
                SeenSync(
                    one.stored, None if sync.planned else one.listed, observed, fields,
                    verified_event(one, observed, by),
                )
                for sync, one, (observed, fields) in zip(syncs, asked, seen, strict=True)
            ]  # fmt: skip

        def unread(bug: str) -> list[SeenSync]:
            return [
                _unread(self._stored(one), one.application, Observed(unasked=True), bug)
                for one in syncs
            ]

        return self._bounded(read, unread)

    def give_up(self, planner: Planner, sync: VerifyingSync, reason: str) -> SeenSync:
        """Return that none of a sync's objects could be read."""
        stored = self._stored(sync)
        observed, why = self._bounded(
            lambda: (Asked.of(stored, planner).unread(reason), reason),
            lambda bug: (Observed(unasked=True), bug),
        )
        return _unread(stored, sync.application, observed, why)

    def _bounded(self, work: Callable[[], T], otherwise: Callable[[str], T]) -> T:
        """Return what the work returns; a bug of ours leaves syncs to their messages, and is told.

        So one Application for which it fails holds up no other.
        """
        try:
            with sharing(Shares(LONGEST_MATCH)):
                return work()
        except (ConnectionFailed, LedgerUnavailable):
            raise
        except (TooLong, Exception) as error:  # noqa: BLE001 see above
            self._log.error("verification.bug", traceback=traceback.format_exc())
            return otherwise(f"not read: {type(error).__name__}; see the log")

    def _asked(self, planner: Planner, sync: VerifyingSync) -> Asked:
        """Return a sync as it was read for its planning, or read it again."""
        return self._handover.kept(planner, sync.id) or Asked.of(self._stored(sync), planner)

    def _stored(self, sync: VerifyingSync) -> StoredSync:
        with self._ledger.read() as connection:
            return stored_sync(connection, sync.id)


def _unread(stored: StoredSync, application: str, observed: Observed, reason: str) -> SeenSync:
    return SeenSync(stored, None, observed, None, unverified_event(stored, application, reason))
