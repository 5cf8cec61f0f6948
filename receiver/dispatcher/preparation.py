"""Works out what a turn will write: the plans of new syncs, the next steps of plans.

Matching and rendering happen here, over a reading connection, so that they hold no lock.
"""

from __future__ import annotations

import traceback
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from receiver.core.errors import LedgerUnavailable, TooLarge
from receiver.core.interruption import Stopped, TooLong, cpu_limit, interruptible
from receiver.core.logs import Log
from receiver.core.model import Event, Json, Sync, from_ms, rfc3339
from receiver.core.states import PlanState, SyncState
from receiver.core.validation import first_line, near
from receiver.dispatcher.rule_sets import Reload, RulesInForce
from receiver.dispatcher.suspects import Suspects
from receiver.ledger.operations.replay import Replay, asked_replays
from receiver.ledger.plans.application_memory import MemoryKey, known_memories
from receiver.ledger.plans.load import (
    MOST_RESOURCES,
    NewSync,
    new_syncs,
    stirred_plans,
    stored_sync,
)
from receiver.ledger.plans.records import Advance, Planning, StoredPlan, StoredSync
from receiver.notification.application_memory import Memory, after, judged
from receiver.notification.resource_list import too_many
from receiver.planning.parameters import Renderer
from receiver.planning.plan_builder import MOST_RUNS
from receiver.planning.planner import Planner, memory_key, read_sync, step

LONGEST = 10.0
"""Seconds of a core that planning one sync, or one step of a plan, may take; most take 0.01."""

T = TypeVar("T")

KEPT_SYNCS = 64
"""Syncs kept as read: twice a turn's batch, since the next waves of a batch come together."""


class Drafts:
    """Plannings and steps, by the rules in force and by those of older plans.

    Attributes:
        pulse: asked now and then while they are worked out; `Stopped` leaves the rest undone.
    """

    def __init__(
        self,
        rules: RulesInForce,
        renderer: Renderer,
        suspects: Suspects,
        log: Log,
        *,
        max_age: float,
        max_resources: int,
    ) -> None:
        self._rules = rules
        self._renderer = renderer
        self._suspects = suspects
        self._log = log
        self._max_age = max_age
        self._max_resources = max_resources
        self._planner: Planner | None = None
        self._refused = ""
        self._act_since: datetime | None = None
        self._syncs: OrderedDict[str, Sync] = OrderedDict()
        self.pulse: Callable[[], None] = lambda: None

    def act_since(self, moment: datetime) -> None:
        """Act only upon syncs that finished at this moment or later."""
        self._act_since = moment

    def use(self, planner: Planner | None) -> None:
        """Plan by this planner from now on; None plans nothing."""
        self._planner = planner
        if planner:
            self._rules.remember(planner.rule_set)

    def heed(self, reload: Reload) -> None:
        """Plan by what was loaded, or know why it was refused."""
        self._refused = reload.error
        if reload.planner:
            self.use(reload.planner)

    def plannings(self, connection: Connection, limit: int) -> list[Planning]:
        """Plan the oldest new syncs, at most ``limit``; none while there are no rules."""
        if self._planner is None:
            return []
        made: list[Planning] = []
        runs = 0
        memories: dict[MemoryKey, Memory] = {}
        look = partial(new_syncs, connection, limit)
        chosen, given_up = self._suspects.choose(connection, "syncs", look)
        with suppress(Stopped):  # what is not planned yet stays new
            for one in chosen:
                refusal = given_up or too_many(one.resources, self._max_resources)
                planning = (
                    _failed(one.id, one.delivery, refusal)
                    if refusal
                    else self._planning(self._planner, connection, one, memories)
                )
                made.append(planning)
                runs += sum(len(plan.runs) for plan in planning.plans)
                if runs > MOST_RUNS:
                    break
        return made

    def steps(self, connection: Connection, limit: int) -> list[tuple[StoredPlan, Advance]]:
        """Work out the next steps of the plans that something happened to."""
        made: list[tuple[StoredPlan, Advance]] = []
        look = partial(stirred_plans, connection, limit)
        plans, given_up = self._suspects.choose(connection, "steps", look)
        with suppress(Stopped):
            for plan in plans:
                broken = _broken(plan, given_up) if given_up else None
                made.append((plan, broken or self._step(connection, plan)))
        return made

    def clear(self, connection: Connection) -> None:
        """Strike out what was begun, in the transaction that stores what came of it."""
        self._suspects.clear(connection)

    def replays(self, connection: Connection, limit: int) -> list[tuple[Replay, Planning | str]]:
        """Plan the syncs anew that operators have asked for; a text says why that cannot be.

        None while rule files have changed that are not in force yet: whoever mends a rule and
        asks for a replay means the rule as it is mended.
        """
        if self._rules.behind() or not (self._planner or self._refused):
            return []
        made: list[tuple[Replay, Planning | str]] = []
        look = partial(asked_replays, connection, limit)
        chosen, given_up = self._suspects.choose(connection, "replays", look)
        with suppress(Stopped):
            for one in chosen:
                too_large = too_many(one.stored.resources, self._max_resources)
                made.append((one, given_up or too_large or self._replay(one)))
        return made

    def _replay(self, replay: Replay) -> Planning | str:
        planner = self._planner
        if planner is None:
            return f"no rules are in force: {first_line(self._refused)}"
        if self._refused and not replay.any_rules:
            return f"the rule files are refused: {first_line(self._refused)}"
        names = [rule.name for rule in planner.rule_set.rules]
        if replay.rule and replay.rule not in names:
            hint = near(replay.rule, names)
            return f"no rule {replay.rule} is in force" + (f" ({hint})" if hint else "")
        about: dict[str, Json] = {"replay": replay.id, "by": replay.by}
        about |= {"rule": replay.rule} if replay.rule else {}
        return self._worked_out(
            partial(self._replayed, planner, replay, about), "sync.bug", sync=replay.stored.id
        )

    def _replayed(self, planner: Planner, replay: Replay, about: dict[str, Json]) -> Planning:
        sync = judged(self._remember(replay.stored), replay.recalled)
        return planner.replay(sync, replay.stored.delivery, rule=replay.rule, about=about)

    def _planning(
        self,
        planner: Planner,
        connection: Connection,
        new: NewSync,
        memories: dict[MemoryKey, Memory],
    ) -> Planning:
        work = partial(self._plan, planner, connection, new.id, memories)
        planning = self._worked_out(work, "sync.bug", sync=new.id)
        return _failed(new.id, new.delivery, planning) if isinstance(planning, str) else planning

    def _worked_out(self, work: Callable[[], T], bug: str, **about: str) -> T | str:
        """Do the work within its bounds; return why it could not be done, if it could not.

        One sync, or plan, that we cannot work out holds up no other.
        """
        try:
            with interruptible(cpu_limit(LONGEST, self.pulse)):
                return work()
        except (DBAPIError, LedgerUnavailable):
            raise
        except TooLong:
            return f"too large: it took more than {LONGEST:g} s of a core to work out its plans"
        except TooLarge as error:
            return f"too large: {error}"
        except Exception as error:  # noqa: BLE001 see above
            self._log.error(bug, **about, traceback=traceback.format_exc())
            return f"not planned: {type(error).__name__}; see the log"

    def _plan(
        self,
        planner: Planner,
        connection: Connection,
        new: str,
        memories: dict[MemoryKey, Memory],
    ) -> Planning:
        stored = stored_sync(connection, new)
        sync = self._remember(stored)
        key = memory_key(sync)
        if key not in memories:
            memories[key] = known_memories(connection, [key]).get(key, Memory())
        refusal = self._too_old(stored, sync)
        planning = planner.plan(sync, stored.delivery, memories[key], refusal=refusal)
        if planning.told:
            memories[key] = after(memories[key], planning.told)
        return planning

    def _step(self, connection: Connection, plan: StoredPlan) -> Advance:
        def work() -> Advance:
            rule = self._rules.rule(plan.rule_set, plan.rule)
            return step(plan, rule, lambda sync: self._sync(connection, sync), self._renderer)

        taken = self._worked_out(work, "plan.bug", plan=plan.id)
        return _broken(plan, taken) if isinstance(taken, str) else taken

    def _sync(self, connection: Connection, sync: str) -> Sync:
        return self._syncs.get(sync) or self._remember(stored_sync(connection, sync))

    def _remember(self, stored: StoredSync) -> Sync:
        """Read a sync and keep it at hand: its next waves need it again soon."""
        sync = self._syncs[stored.id] = read_sync(stored)
        kept = sum(len(one.resources) for one in self._syncs.values())
        while len(self._syncs) > 1 and (len(self._syncs) > KEPT_SYNCS or kept > MOST_RESOURCES):
            kept -= len(self._syncs.popitem(last=False)[1].resources)
        return sync

    def _too_old(self, stored: StoredSync, sync: Sync) -> str:
        """Return why a sync is stored only: it finished long ago, or before we were here."""
        if sync.finished_at is None:
            return ""
        received = from_ms(stored.received_at)
        finished = rfc3339(sync.finished_at)
        # Argo CD writes whole seconds: a sync of the second in which we came is ours.
        if self._act_since and sync.finished_at < self._act_since - timedelta(seconds=1):
            return f"finished at {finished}, before this ledger acts ({rfc3339(self._act_since)})"
        if sync.finished_at < received - timedelta(seconds=self._max_age):
            return f"finished at {finished}, more than {self._max_age:g} s ago"
        return ""


def _failed(sync: str, delivery: str, reason: str) -> Planning:
    """Return what becomes of a sync that is not planned; an operator can replay it."""
    event = Event("sync.failed", {"reason": reason}, delivery, sync)
    return Planning(sync, "", SyncState.FAILED, reason, None, events=(event,))


def _broken(plan: StoredPlan, why: str) -> Advance:
    reason = f"broke off: {why}"
    event = Event(
        "plan.failed", {"rule": plan.rule, "reason": reason}, sync=plan.sync, plan=plan.id
    )
    return Advance(plan.id, plan.sync, "", end=PlanState.FAILED, reason=reason, events=(event,))
