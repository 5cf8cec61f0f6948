"""The gate: plans of rules with `waitFor` start when what they matched is healthy.

One worker for each sender that has a connection, so that a slow Argo CD holds up no other, and one
for the senders that have none, whose plans nobody can judge. A plan that waits is in the ledger as
`gated`, with its deadline; a worker looks at its objects every few seconds, and starts it, or
lets `otherwise` decide when its time is over. A process that is killed leaves it to the next.
"""

from __future__ import annotations

import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain

from receiver.argocd.connection import ConnectionFailed
from receiver.argocd.connections import Connections
from receiver.core.errors import LedgerUnavailable
from receiver.core.logs import Log
from receiver.dispatcher.companion import IDLE, OTHERS, CompanionThread
from receiver.dispatcher.health_look import Part, Seen, look, parts_of, sentence
from receiver.ledger.engine.ledger import Ledger, LockMode
from receiver.ledger.plans.gate import (
    GatedPlan,
    Verdict,
    gated_plan,
    gated_plans,
    store_reasons,
    store_verdicts,
)
from receiver.notification.live_verdicts import MANAGERS

OFTEN, SELDOM = 3.0, 15.0
"""Seconds between two looks at a plan: a tenth of what it has waited, within these bounds."""

TAKEN = 2.0
"""Seconds until the next look where another dispatcher looks now."""

LONGEST_LOOK = 20.0
"""Seconds that one Application may be read; after so many a round looks at no other."""

PAUSE = 0.2
"""Seconds of the shortest time between two rounds."""


class HealthGate(CompanionThread):
    """Opens the gates of one sender's plans, in a thread of its own.

    Args:
        sender: whose plans; `OTHERS` for those of all that have no connection.
        connections: who is asked, by sender: a plan may have collected syncs of several.
        ledger: where the plans wait.
        wake: called when plans have started.
        log: gets the lines of the trail.
        managers: names that Argo CD goes by as a manager of fields.
    """

    def __init__(
        self,
        sender: str,
        connections: Connections,
        ledger: Ledger,
        wake: Callable[[], None],
        log: Log,
        *,
        managers: Collection[str] = MANAGERS,
    ) -> None:
        super().__init__(f"gate-{sender}", ledger, wake, log, pause=PAUSE)
        self._sender = sender
        self._connections = connections
        self._managers = managers
        self._parts: dict[str, list[Part]] = {}
        self._next: dict[str, float] = {}
        self._behind: dict[tuple[str, str, str], None] = {}
        """Applications of which the connection failed, the last one last: they come after others.
        """

    def _round(self) -> float:
        """Look at the plans that are to be looked at; return the seconds until the next round."""
        with self._ledger.read() as connection:
            waiting = [one for one in gated_plans(connection) if self._is_mine(one)]
        self._forget({one.id for one in waiting})
        if not waiting:
            return IDLE
        with self._ledger.exclusive_task(f"gate {self._sender}", lasts=2 * LONGEST_LOOK) as mine:
            if not mine:
                return TAKEN
            seen = self._look_at(self._due(waiting))
            with self._ledger.read() as connection:
                now = self._ledger.now(connection)
            self._store(waiting, [_verdict(one, seen.get(one.id), now) for one in waiting])
        return self._wait(waiting, now)

    def _is_mine(self, plan: GatedPlan) -> bool:
        known = plan.sender in self._connections.senders
        return plan.sender == self._sender if known else self._sender == OTHERS

    def _forget(self, waiting: Collection[str]) -> None:
        self._parts = {plan: parts for plan, parts in self._parts.items() if plan in waiting}
        self._next = {plan: at for plan, at in self._next.items() if plan in waiting}
        there = {part.application for part in chain.from_iterable(self._parts.values())}
        self._behind = {one: None for one in self._behind if one in there}

    def _due(self, waiting: Sequence[GatedPlan]) -> list[GatedPlan]:
        """Return the plans that it is time to look at, those first that have waited longest."""
        now = time.monotonic()
        due = [one for one in waiting if self._next.get(one.id, 0.0) <= now]
        return sorted(due, key=lambda one: self._next.get(one.id, 0.0))

    def _look_at(self, plans: Sequence[GatedPlan]) -> dict[str, list[Seen]]:
        """Look at what plans wait for, one Application after the other; leave out what is not seen.

        A plan that has just begun to wait is read once, and its objects are kept by their names.
        """
        wanted: dict[str, list[Part]] = {}
        looked: dict[str, list[Seen]] = {}
        for one in plans:
            try:
                wanted[one.id] = self._parts_of(one.id)
            except LedgerUnavailable:
                raise
            except Exception as error:  # noqa: BLE001 one plan holds up no other
                looked[one.id] = [Seen((self._bug(error),), unknowable=True)]
        seen = self._look_in_turn(_by_application(chain.from_iterable(wanted.values())))
        for plan, parts in wanted.items():
            if parts and seen.keys() >= set(parts):
                looked[plan] = [seen[part] for part in parts]
        self._plan_next(plans, looked)
        return looked

    def _look_in_turn(self, parts_by_application: Iterable[Sequence[Part]]) -> dict[Part, Seen]:
        """Look at one Application after the other, while there is time."""
        seen: dict[Part, Seen] = {}
        failed: dict[str, str] = {}
        until = time.monotonic() + LONGEST_LOOK
        turns = {application: number for number, application in enumerate(self._behind, 1)}
        in_turn = sorted(parts_by_application, key=lambda one: turns.get(one[0].application, 0))
        for parts in in_turn:
            if self._stopping or time.monotonic() > until:
                break
            seen |= zip(parts, self._look(parts, failed), strict=True)
        return seen

    def _parts_of(self, plan: str) -> list[Part]:
        if plan not in self._parts:
            with self._ledger.read() as connection:
                found = gated_plan(connection, plan)
                self._parts[plan] = parts_of(connection, found) if found else []
        return self._parts[plan]

    def _plan_next(self, plans: Iterable[GatedPlan], looked: Collection[str]) -> None:
        with self._ledger.read() as connection:
            now = self._ledger.now(connection)
        for one in plans:
            if one.id in looked:
                pause = min(max((now - one.since) / 10_000, OFTEN), SELDOM)
                self._next[one.id] = time.monotonic() + pause

    def _look(self, parts: Sequence[Part], failed: dict[str, str]) -> list[Seen]:
        """Look at one Application; whatever fails with it is why its plans wait.

        ``failed`` has by sender why its connection does not work now: it is asked once in a round.
        """
        sender = parts[0].sender
        connection = self._connections.for_sender(sender)
        if connection is None:
            why = f"the sender {sender} has no connection to Argo CD, so nobody can know"
            return [Seen((why,), unknowable=True) for _ in parts]
        if sender in failed:
            return [Seen((failed[sender],)) for _ in parts]
        try:
            deadline = time.monotonic() + LONGEST_LOOK
            seen = look(connection, parts, self._managers, deadline)
        except ConnectionFailed as error:
            self._behind.pop(parts[0].application, None)
            self._behind[parts[0].application] = None
            why = failed[sender] = str(error)
        except Exception as error:  # noqa: BLE001 one Application holds up no other
            why = self._bug(error)
        else:
            self._behind.pop(parts[0].application, None)
            return seen
        return [Seen((why,)) for _ in parts]

    def _bug(self, error: Exception) -> str:
        self._log.error("gate.bug", traceback=traceback.format_exc())
        return f"not looked at: {type(error).__name__}; see the log"

    def _store(self, waiting: Sequence[GatedPlan], verdicts: Sequence[Verdict]) -> None:
        told = {one.id: one.reason for one in waiting}
        changed = [
            one for one in verdicts
            if not one.decided and one.waits and one.waits != told[one.plan]
        ]  # fmt: skip
        if changed:
            with self._ledger.write(LockMode.SHARED) as connection:
                store_reasons(connection, changed)
        decided = [one for one in verdicts if one.decided]
        if not decided:
            return
        self._commit(partial(store_verdicts, verdicts=decided), LockMode.EXCLUSIVE)

    def _wait(self, waiting: Sequence[GatedPlan], now: int) -> float:
        looks = (self._next.get(one.id, 0.0) - time.monotonic() for one in waiting)
        deadlines = ((one.until - now) / 1000 for one in waiting)
        return max(0.1, min(IDLE, *looks, *deadlines))


def _by_application(parts: Iterable[Part]) -> Iterable[Sequence[Part]]:
    """Return the parts of each Application, none twice, in the order in which they first came."""
    together: dict[tuple[str, str, str], dict[Part, None]] = defaultdict(dict)
    for part in parts:
        together[part.application][part] = None
    return [[*same] for same in together.values()]


def _verdict(plan: GatedPlan, seen: Sequence[Seen] | None, now: int) -> Verdict:
    """Return what becomes of a plan; ``seen`` is None if nobody has looked at it in this round."""
    verdict = Verdict(plan.id) if seen is None else _by_look(plan, seen)
    if verdict.decided or plan.until > now:
        return verdict
    why = f"not healthy within {plan.gate.longest / 1000:g} s: {verdict.waits or plan.reason}"
    return replace(verdict, unhealthy=why)


def _by_look(plan: GatedPlan, seen: Sequence[Seen]) -> Verdict:
    if all(one.superseded for one in seen) and not plan.gate.asked:
        return Verdict(plan.id, superseded=seen[0].superseded)
    waits = sentence([*chain.from_iterable(one.waits for one in seen)])
    unknowable = any(one.unknowable for one in seen)
    return Verdict(plan.id, opens=not waits, unhealthy=waits if unknowable else "", waits=waits)
