"""Verification: what a sync really changed is read from its live objects before it is planned.

One worker for each sender that has a connection, so that a slow Argo CD holds up no other. A sync
that waits is in the ledger as `verifying`; the worker reads its objects, stores what they told and
gives it back as `new`, to be planned with it. Where the cluster cannot be asked until the sync's
deadline, that is stored instead, and its rules' `onUnknownChange` decides. A process that is killed
meanwhile leaves the sync as it is, for the next; of one that has killed some in a row nothing is
read any more.
"""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeAlias
from uuid import uuid4

from receiver.argocd.connection import Connection, ConnectionFailed
from receiver.argocd.objects import ApplicationState
from receiver.core.errors import LedgerUnavailable
from receiver.core.interruption import TooLong, cpu_limit, interruptible
from receiver.core.logs import Log
from receiver.core.model import Event
from receiver.dispatcher.companion import IDLE, CompanionThread
from receiver.dispatcher.observation import Asked, Seen, observe
from receiver.dispatcher.outage import Outage
from receiver.dispatcher.verification_events import unverified_event, verified_event
from receiver.ledger.engine.ledger import Ledger, LockMode
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.plans.field_values import FieldPlace, load_fields, store_fields
from receiver.ledger.plans.load import stored_sync
from receiver.ledger.plans.poison_guard import PoisonGuard
from receiver.ledger.plans.records import StoredSync
from receiver.ledger.plans.verification import (
    VerifyingSync,
    store_observed,
    store_waits,
    verifying_syncs,
)
from receiver.notification.field_memory import FieldMemory
from receiver.notification.live_verdicts import MANAGERS, Observed
from receiver.planning.planner import Planner

MOST_SYNCS = 64
"""Syncs of one round."""

MOST_TOGETHER = 8
"""Syncs of one Application that are read together: all their lists are in memory then."""

LONGEST_READ = 20.0
"""Seconds that one Application may be read; after so many a round begins no other."""

TOGETHER = 0.1
"""Seconds after which what was seen is stored, that of several Applications together: each commit
waits for the disk, and the intake's commits wait behind it."""

LONGEST_MATCH = 10.0
"""Processor seconds that matching one Application's syncs may take, as in planning."""

TAKEN = 1.0
"""Seconds until the next look where another dispatcher reads now."""

LONGEST_PAUSE = 10.0
"""Seconds after which a connection that fails is tried again at the latest: syncs wait for it."""


Told: TypeAlias = tuple[Sequence[Seen], Sequence[Event]]
"""What was seen for each of some syncs, and the line of the trail about it."""


class Verification(CompanionThread):
    """Verifies the syncs of one sender, in a thread of its own.

    Args:
        sender: whose syncs.
        connection: how its cluster is asked.
        ledger: where they wait.
        planner: returns the rules in force.
        wake: called when syncs can be planned.
        log: gets the lines of the trail.
        managers: names that Argo CD goes by as a manager of fields.
    """

    def __init__(
        self,
        sender: str,
        connection: Connection,
        ledger: Ledger,
        planner: Callable[[], Planner | None],
        wake: Callable[[], None],
        log: Log,
        *,
        managers: Collection[str] = MANAGERS,
    ) -> None:
        super().__init__(f"verification-{sender}", ledger, wake, log)
        self._sender = sender
        self._connection = connection
        self._planner = planner
        self._managers = managers
        self._outage = Outage.of_connection(sender, connection, "read live objects", ledger, log)
        self._failed = ""
        self._again_at = 0.0
        self._guard = PoisonGuard(ledger, f"verifying {uuid4().hex}", "read its objects")
        self._behind: dict[str, str] = {}
        """Why Applications could not be read, the oldest failure first: they come after the others.
        """

    def _round(self) -> float:
        """Verify what waits; return the seconds until the next round."""
        planner = self._planner()
        with self._ledger.read() as connection:
            waits = verifying_syncs(connection, self._sender, 1)
        if not waits or planner is None:
            return IDLE
        with self._ledger.exclusive_task(
            f"verifying {self._sender}", lasts=2 * LONGEST_READ
        ) as mine:
            if not mine:
                return TAKEN
            until_deadline = self._verify_some(planner)
        return max(0.0, min(self._again_at - time.monotonic(), until_deadline))

    def _verify_some(self, planner: Planner) -> float:
        """Verify those whose turn it is, one alone of which another process may have died.

        Returns:
            The seconds until the time of one that is left is over.
        """
        with self._ledger.read() as connection:
            query = partial(verifying_syncs, connection, self._sender, MOST_SYNCS, [*self._behind])
            may_ask = time.monotonic() >= self._again_at
            chosen, given_up = (
                self._guard.choose(connection, "verifying", query) if may_ask else (query(), "")
            )
        if given_up:
            self._store_unread(planner, chosen[0], given_up)
            return 0.0
        left = self._verify_in_turn(planner, chosen)
        if left and may_ask:
            with self._ledger.write(LockMode.SHARED) as connection:
                self._guard.clear(connection)
        return math.inf if self._stopping else self._give_up(planner, left)

    def _verify_in_turn(
        self, planner: Planner, waiting: Sequence[VerifyingSync]
    ) -> list[VerifyingSync]:
        """Verify one Application after the other, while all goes well; return what is left."""
        left = {one.id: one for one in waiting}
        until = time.monotonic() + LONGEST_READ
        gathered, store_at = list[tuple[Sequence[StoredSync], Told]](), 0.0
        for syncs in _by_application(waiting):
            now = time.monotonic()
            if self._stopping or now > until or now < self._again_at:
                break
            if gathered and now > store_at:
                self._store(gathered)
                gathered = []
            try:
                seen = self._verify(planner, syncs)
            except ConnectionFailed as error:
                self._failed = str(error)
                self._put_behind(syncs[0].application, self._failed)
                pause = min(self._outage.failed(self._failed), LONGEST_PAUSE)
                self._again_at = time.monotonic() + pause
                break
            self._failed = ""
            self._behind.pop(syncs[0].application, None)
            self._outage.over()
            store_at = store_at if gathered else time.monotonic() + TOGETHER
            gathered.append(seen)
            for one in syncs:
                del left[one.id]
        if gathered:
            self._store(gathered)
        return list(left.values())

    def _put_behind(self, application: str, why: str) -> None:
        self._behind.pop(application, None)
        self._behind[application] = why
        if len(self._behind) > MOST_SYNCS:
            del self._behind[next(iter(self._behind))]

    def _verify(
        self, planner: Planner, syncs: Sequence[VerifyingSync]
    ) -> tuple[Sequence[StoredSync], Told]:
        """Read what is wanted for syncs of one Application; return what was seen."""
        stored = self._stored(syncs)

        def recall(state: ApplicationState) -> tuple[FieldPlace, FieldMemory]:
            place = FieldPlace.of(self._sender, state)
            return place, load_fields(self._ledger, place)

        def read() -> Told:
            asked = [Asked.of(one, planner) for one in stored]
            deadline = time.monotonic() + LONGEST_READ
            seen = observe(self._connection, planner, asked, self._managers, recall, deadline)
            by = self._connection.name
            return seen, [verified_event(a, s, by) for a, (s, _) in zip(asked, seen, strict=True)]

        return stored, self._bounded(read, stored, syncs[0].application)

    def _give_up(self, planner: Planner, left: Sequence[VerifyingSync]) -> float:
        """Have those planned whose time is over; note down why the others wait.

        Returns:
            The seconds until the time of the next is over.
        """
        with self._ledger.read() as connection:
            now = self._ledger.now(connection)
        for one in left:
            if one.until <= now:
                known = self._behind.get(one.application, self._failed)
                self._store_unread(planner, one, known or "it was not its turn in time")
        waiting = [one for one in left if one.until > now]
        if self._failed and any(self._failed not in one.reason for one in waiting):
            with self._ledger.write(LockMode.SHARED) as connection:
                store_waits(connection, waiting, self._failed)
        return min(((one.until - now) / 1000 for one in waiting), default=math.inf)

    def _store_unread(self, planner: Planner, sync: VerifyingSync, reason: str) -> None:
        """Have a sync planned although its objects were not read."""
        stored = self._stored([sync])

        def unread() -> Told:
            seen = Asked.of(stored[0], planner).unread(reason)
            return [(seen, None)], [unverified_event(stored[0], sync.application, reason)]

        self._store([(stored, self._bounded(unread, stored, sync.application))])

    def _bounded(
        self, work: Callable[[], Told], stored: Sequence[StoredSync], application: str
    ) -> Told:
        """Return what the work returns; a bug of ours leaves syncs to their messages, and is told.

        So one Application for which it fails holds up no other.
        """
        try:
            with interruptible(cpu_limit(LONGEST_MATCH)):
                return work()
        except (ConnectionFailed, LedgerUnavailable):
            raise
        except (TooLong, Exception) as error:  # noqa: BLE001 see above
            self._log.error("verification.bug", traceback=traceback.format_exc())
            reason = f"not read: {type(error).__name__}; see the log"
            events = [unverified_event(one, application, reason) for one in stored]
            return [(Observed(unasked=True), None) for _ in stored], events

    def _stored(self, syncs: Sequence[VerifyingSync]) -> list[StoredSync]:
        with self._ledger.read() as connection:
            return [stored_sync(connection, one.id) for one in syncs]

    def _store(self, gathered: Sequence[tuple[Sequence[StoredSync], Told]]) -> None:
        """Give syncs back to be planned, each with what was seen; and tell it."""

        def write(uow: UnitOfWork) -> None:
            for stored, told in gathered:
                for one, (observed, fields), event in zip(stored, *told, strict=True):
                    recalled = replace(one.recalled, observed=observed)
                    self._guard.clear_some(uow.connection, [one.id])
                    if store_observed(uow, one.id, recalled, event) and fields:
                        store_fields(uow, fields)

        self._commit(write)


def _by_application(syncs: Sequence[VerifyingSync]) -> Iterator[list[VerifyingSync]]:
    """Yield the syncs of each Application, in the order of the oldest."""
    of: dict[str, list[VerifyingSync]] = {}
    for one in syncs:
        of.setdefault(one.application, []).append(one)
    for together in of.values():
        for start in range(0, len(together), MOST_TOGETHER):
            yield together[start : start + MOST_TOGETHER]
