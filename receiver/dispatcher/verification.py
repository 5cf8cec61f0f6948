"""Verification: what a sync really changed is read from its live objects before it is planned.

One worker for each sender that has a connection, so that a slow Argo CD holds up no other. A sync
that waits is in the ledger as `verifying`; the worker reads its objects and hands what they told
over to the loop, which plans the sync with it and stores both. Where the cluster cannot be asked
until the sync's deadline, that is stored at once, the sync is `new` again, and its rules'
`onUnknownChange` decides. A process that is killed meanwhile leaves the sync as it is, for the
next; of one that has killed some in a row nothing is read any more.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from uuid import uuid4

from receiver.argocd.connection import Connection, ConnectionFailed
from receiver.core.logs import Log
from receiver.dispatcher.companion import IDLE, CompanionThread
from receiver.dispatcher.handover import Handover, SeenSync
from receiver.dispatcher.live_reading import LONGEST_READ, LiveReading
from receiver.dispatcher.outage import Outage
from receiver.ledger.engine.ledger import Ledger, LockMode
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.plans.field_values import (
    store_fields,
)
from receiver.ledger.plans.poison_guard import PoisonGuard
from receiver.ledger.plans.verification import (
    VerifyingSync,
    store_observed,
    store_waits,
    verifying_syncs,
)
from receiver.notification.live_verdicts import MANAGERS
from receiver.planning.planner import Planner

MOST_SYNCS = 64
"""Syncs of one round."""

MOST_TOGETHER = 8
"""Syncs of one Application that are read together: all their lists are in memory then."""

TOGETHER = 0.1
"""Seconds after which what was seen is handed over, that of several Applications together: each
commit waits for the disk, and the intake's commits wait behind it."""

TAKEN = 1.0
"""Seconds until the next look where another dispatcher reads now."""

LONGEST_PAUSE = 10.0
"""Seconds after which a connection that fails is tried again at the latest: syncs wait for it."""


class Verification(CompanionThread):
    """Verifies the syncs of one sender, in a thread of its own.

    Args:
        sender: whose syncs.
        connection: how its cluster is asked.
        ledger: where they wait.
        planner: returns the rules in force.
        handover: between the loop and this thread.
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
        handover: Handover,
        wake: Callable[[], None],
        log: Log,
        *,
        managers: Collection[str] = MANAGERS,
    ) -> None:
        super().__init__(f"verification-{sender}", ledger, wake, log)
        self._sender = sender
        self._planner = planner
        self._handover = handover
        self._reading = LiveReading(sender, connection, ledger, handover, managers, log)
        self._outage = Outage.of_connection(sender, connection, "read live objects", ledger, log)
        self._failed = ""
        self._again_at = 0.0
        self._guard = PoisonGuard(ledger, f"verifying {uuid4().hex}", "verified it")
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
            f"verifying {self._sender}", lasts=2 * LONGEST_READ + LONGEST_PAUSE
        ) as mine:
            if not mine:
                return TAKEN
            until_deadline = self._verify_some(planner)
            if self._until_planned(min(until_deadline, LONGEST_PAUSE)):
                return 0.0
        return max(0.0, min(self._again_at - time.monotonic(), until_deadline))

    def _until_planned(self, seconds: float) -> bool:
        """Wait until the loop has planned what was handed over; whether there was anything.

        Nobody else reads these meanwhile.
        """
        until, waited = time.monotonic() + seconds, False
        while self._handover.unplanned(self._sender) and not self._stopping:
            waited = True
            if not self._woken.wait(until - time.monotonic()):
                break
            self._woken.clear()
        return waited

    def _verify_some(self, planner: Planner) -> float:
        """Verify those whose turn it is, one alone of which another process may have died.

        None while the loop has yet to plan what was seen before.

        Returns:
            The seconds until the time of one that is left is over.
        """
        mine = set(self._handover.unplanned(self._sender))
        may_ask = time.monotonic() >= self._again_at and not mine

        def query(
            without: Collection[str] = (), only: Collection[str] | None = None
        ) -> Sequence[VerifyingSync]:
            return verifying_syncs(
                connection, self._sender, MOST_SYNCS, [*self._behind], mine.union(without), only
            )

        with self._ledger.read() as connection:
            chosen, given_up = (
                self._guard.choose(connection, "verifying", query) if may_ask else (query(), "")
            )
        if given_up:
            self._store(self._reading.give_up(planner, chosen[0], given_up))
            return 0.0
        left = self._verify_in_turn(planner, chosen) if may_ask else chosen
        if left and may_ask:
            with self._ledger.write(LockMode.SHARED) as connection:
                self._guard.clear_some(connection, [one.id for one in left])
        return math.inf if self._stopping else self._give_up(planner, left)

    def _verify_in_turn(
        self, planner: Planner, waiting: Sequence[VerifyingSync]
    ) -> list[VerifyingSync]:
        """Verify one Application after the other, while all goes well; return what is left."""
        left = {one.id: one for one in waiting}
        until = time.monotonic() + LONGEST_READ
        gathered, hand_over_at = list[SeenSync](), 0.0
        for syncs in _by_application(waiting):
            now = time.monotonic()
            if self._stopping or now > until or now < self._again_at:
                break
            if gathered and now > hand_over_at:
                self._hand_over(gathered)
                gathered = []
            try:
                seen = self._reading.read(planner, syncs)
            except ConnectionFailed as error:
                self._failed = str(error)
                self._put_behind(syncs[0].application, self._failed)
                pause = min(self._outage.failed(self._failed), LONGEST_PAUSE)
                self._again_at = time.monotonic() + pause
                break
            self._failed = ""
            self._behind.pop(syncs[0].application, None)
            self._outage.over()
            hand_over_at = hand_over_at if gathered else time.monotonic() + TOGETHER
            gathered += seen
            for one in syncs:
                del left[one.id]
        if gathered:
            self._hand_over(gathered)
        return list(left.values())

    def _put_behind(self, application: str, why: str) -> None:
        self._behind.pop(application, None)
        self._behind[application] = why
        if len(self._behind) > MOST_SYNCS:
            del self._behind[next(iter(self._behind))]

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
                why = known or "it was not its turn in time"
                self._store(self._reading.give_up(planner, one, why))
        waiting = [one for one in left if one.until > now]
        if self._failed and any(self._failed not in one.reason for one in waiting):
            with self._ledger.write(LockMode.SHARED) as connection:
                store_waits(connection, waiting, self._failed)
        return min(((one.until - now) / 1000 for one in waiting), default=math.inf)

    def _hand_over(self, seen: Sequence[SeenSync]) -> None:
        """Have syncs planned; of what is not to be planned with it, the ledger keeps it."""
        self._handover.hand_over([one for one in seen if one.listed is not None])
        self._wake()
        for one in seen:
            if one.listed is None:
                self._store(one)

    def _store(self, seen: SeenSync) -> None:
        """Leave a sync to the ledger, to be planned from there: it is unread, or for a replay."""
        recalled = replace(seen.stored.recalled, observed=seen.observed)

        def write(uow: UnitOfWork) -> None:
            self._guard.clear_some(uow.connection, [seen.id])
            if store_observed(uow, seen.id, recalled, seen.event) and seen.fields:
                store_fields(uow, seen.fields)

        self._commit(write)
        self._handover.forget([seen.id])


def _by_application(syncs: Sequence[VerifyingSync]) -> Iterator[list[VerifyingSync]]:
    """Yield the syncs of each Application, in the order of the oldest."""
    of: dict[str, list[VerifyingSync]] = {}
    for one in syncs:
        of.setdefault(one.application, []).append(one)
    for together in of.values():
        for start in range(0, len(together), MOST_TOGETHER):
            yield together[start : start + MOST_TOGETHER]
