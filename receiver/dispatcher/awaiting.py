"""Awaits Applications: plans that collect with `debounce.until` start when all of them are done.

One worker for each sender that has a connection, so that a slow Argo CD holds up no other, and one
for the senders that have none, whose plans nobody can wait with. A plan that waits is in the ledger
as `collecting`, with whom it waits for and when it waits no longer. What becomes of it then is
decided where it starts; a process that is killed leaves it to the next.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from receiver.argocd.connection import Connection, ConnectionFailed
from receiver.argocd.connections import Connections
from receiver.argocd.objects import ApplicationSummary
from receiver.core.logs import Log
from receiver.dispatcher.companion import IDLE, OTHERS, CompanionThread
from receiver.dispatcher.standing import Finished, chosen, stand
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.plans.awaited import Awaited
from receiver.ledger.plans.awaiting import awaiting_plans, give_up, store_awaited, syncs_at
from receiver.ledger.plans.plan import Plan

OFTEN, SELDOM = 10.0, 120.0
"""Seconds between two lists of all Applications: `SHARE` times what one took, within these bounds.
"""

SHARE = 20
LONGEST_LIST = 60.0
"""Seconds that a list may take."""

PAUSE = 0.5
"""Seconds of the shortest time between two rounds."""


@dataclass(frozen=True, slots=True)
class _Listing:
    """All Applications of a sender, as a list told that began then (monotonic)."""

    began: float
    applications: Sequence[ApplicationSummary] = ()


class Awaiting(CompanionThread):
    """Looks at the Applications that one sender's plans wait for, in a thread of its own.

    Args:
        sender: whose plans; `OTHERS` for those of all that have no connection.
        connections: who is asked, by sender.
        ledger: where the plans wait.
        wake: called when plans wait no longer.
        log: gets the lines of the trail.
    """

    def __init__(
        self,
        sender: str,
        connections: Connections,
        ledger: Ledger,
        wake: Callable[[], None],
        log: Log,
    ) -> None:
        super().__init__(f"awaiting-{sender}", ledger, wake, log, pause=PAUSE)
        self._sender = sender
        self._connections = connections
        self._forget()

    def _forget(self) -> None:
        self._listing: _Listing | None = None
        self._next_list = 0.0
        self._trouble = ""
        self._finished = Finished()

    def _round(self) -> float:
        """Look at whom the plans wait for; return the seconds until the next round."""
        began = time.monotonic()
        with self._ledger.read() as connection:
            plans = [one for one in awaiting_plans(connection) if self._is_mine(one)]
        connection_to = self._connections.for_sender(self._sender)
        if not plans:
            self._forget()
        elif connection_to is None:
            self._give_up(plans)
        else:
            with self._ledger.exclusive_task(
                f"awaiting {self._sender}", lasts=3 * LONGEST_LIST
            ) as mine:
                if mine:
                    self._look(plans, connection_to, began)
        return min(IDLE, max(0.0, self._next_list - time.monotonic()) or IDLE)

    def _is_mine(self, plan: Plan) -> bool:
        sender = plan.awaited.sender if plan.awaited else ""
        known = sender in self._connections.senders
        return sender == self._sender if known else self._sender == OTHERS

    def _look(self, plans: Sequence[Plan], connection: Connection, began: float) -> None:
        """Judge by the last list; that a plan waits no longer is believed of a new one only."""
        if time.monotonic() >= self._next_list:
            self._list(connection)
        seen = self._stand(plans)
        if any(one.met for one in seen) and not self._is_new(began):
            self._list(connection)
            seen = self._stand(plans)
        if not self._is_new(began):
            seen = [replace(one, met=False) for one in seen]
        changed = [(one, now) for one, now in zip(plans, seen, strict=True) if one.awaited != now]
        if changed:
            self._commit(partial(_store_all, store_awaited, changed))

    def _is_new(self, began: float) -> bool:
        return self._listing is not None and self._listing.began >= began

    def _list(self, connection: Connection) -> None:
        """List all Applications; where that fails, the last list stays, and the trouble is told."""
        began = time.monotonic()
        try:
            found = connection.applications(began + LONGEST_LIST)
            self._listing, self._trouble = _Listing(began, found), ""
        except ConnectionFailed as error:
            self._trouble = str(error)
        except Exception as error:  # noqa: BLE001 what is wrong with one list may not be with the next
            self._log.error("awaiting.bug", traceback=traceback.format_exc())
            self._trouble = f"not listed: {type(error).__name__}; see the log"
        took = time.monotonic() - began
        self._next_list = time.monotonic() + min(SELDOM, max(OFTEN, SHARE * took))

    def _stand(self, plans: Sequence[Plan]) -> list[Awaited]:
        return [self._stand_of(plan, plan.awaited) for plan in plans if plan.awaited]

    def _stand_of(self, plan: Plan, awaited: Awaited) -> Awaited:
        if self._listing is None:
            return replace(awaited, trouble=self._trouble)
        found = chosen(awaited, self._listing.applications)
        names = {name for one in found for name in (one.key, one.name)}
        with self._ledger.read() as connection:
            syncs = syncs_at(connection, plan, awaited, names)
        now = stand(awaited, found, syncs, self._finished, plan.sync_finished_at)
        return replace(now, trouble=self._trouble)

    def _give_up(self, plans: Sequence[Plan]) -> None:
        waits = [(plan, plan.awaited) for plan in plans if plan.awaited]
        self._commit(partial(_store_all, give_up, waits))


def _store_all(
    store: Callable[[UnitOfWork, Plan, Awaited], None],
    waits: Sequence[tuple[Plan, Awaited]],
    uow: UnitOfWork,
) -> None:
    for plan, awaited in waits:
        store(uow, plan, awaited)
