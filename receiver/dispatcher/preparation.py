"""Prepares what a turn will write: the plans of new syncs, the next steps of plans.

Matching and rendering happen here, over a reading connection, so that they hold no lock.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from itertools import chain
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from receiver.core.errors import LedgerUnavailable, TooLarge
from receiver.core.interruption import Stopped, TooLong
from receiver.core.logs import Log
from receiver.core.model import Event, Json, Sync, from_ms, rfc3339
from receiver.core.states import PlanState, SyncState
from receiver.core.validation import did_you_mean, first_line
from receiver.dispatcher.handover import Handover, SeenSync
from receiver.dispatcher.observation import Asked
from receiver.dispatcher.rule_sets import Reload, RulesInForce
from receiver.dispatcher.sync_cache import SyncCache
from receiver.ledger.operations.replay import Replay, asked_replays
from receiver.ledger.plans.application_memory import MemoryKey, memories_of
from receiver.ledger.plans.load import (
    NewSync,
    new_syncs,
    signalled_plans,
    stored_sync,
    stored_syncs,
)
from receiver.ledger.plans.plan import Plan
from receiver.ledger.plans.poison_guard import PoisonGuard
from receiver.ledger.plans.records import Advance, Planning, StoredPlan, StoredSync
from receiver.notification.application_memory import Memory, apply_update
from receiver.notification.recalled import with_recalled
from receiver.notification.resource_list import too_many
from receiver.planning.parameters import Renderer
from receiver.planning.plan_builder import MOST_RUNS
from receiver.planning.planner import Planner, memory_key, step
from receiver.rules.matching.matcher import RuleMatch
from receiver.rules.tenants.names import tenant_of
from receiver.rules.tenants.shares import MEMORY_TOGETHER, Shares, for_each, sharing, used_up

LONGEST = 10.0
"""Processor seconds that planning one sync, or stepping one plan, may take; most take 0.01. What
namespaces take is not counted, see `receiver.rules.tenants.shares`."""

T = TypeVar("T")


class Preparation:
    """Plans syncs by the rules in force, and steps plans by the rules that they were made by.

    Attributes:
        handover: what is passed between it and those who read live objects.
        act_since: syncs that finished before it are stored and not acted upon.
        verify_until: returns how long a sync of this sender may wait for what its live objects
            tell, in milliseconds of the ledger's clock; None if nobody can ask.
        rules_brought: returns "" where the rules that a new sync brings are in force, if those in
            force have this number; None where it has to wait, or why they could not be read.
        waiting: returns the ids of new syncs that wait for them.
        checkpoint: called now and then meanwhile; `Stopped` from it leaves the rest undone.
    """

    def __init__(
        self, rules: RulesInForce, renderer: Renderer, guard: PoisonGuard, log: Log, *,
        max_age: float, max_resources: int,
    ) -> None:  # fmt: skip
        self._rules = rules
        self._renderer = renderer
        self._guard = guard
        self._log = log
        self._max_age = max_age
        self._max_resources = max_resources
        self._planner: Planner | None = None
        self._number = 0
        self._refused = ""
        self._syncs = SyncCache()
        self._costly: dict[str, float] = {}  # what namespaces took of late
        self._size = 0
        self.handover = Handover()
        self.act_since: datetime | None = None
        self.verify_until: Callable[[Connection, str], int | None] = lambda *_: None
        self.rules_brought: Callable[[Sync, int], str | None] = lambda *_: ""
        self.waiting: Callable[[int], Collection[str]] = lambda _: ()
        self.checkpoint: Callable[[], None] = lambda: None

    @property
    def planner(self) -> Planner | None:
        """The rules in force, None while there are none."""
        return self._planner

    def use(self, planner: Planner | None) -> None:
        """Plan by this planner from now on; None plans nothing."""
        self._planner = planner
        if planner:
            self._rules.keep(planner.rule_set)

    def apply(self, reload: Reload) -> None:
        """Plan by the rules that were loaded, or keep why they were refused."""
        if reload.of_files:
            self._refused = reload.error
        if reload.planner and reload.number >= self._number:
            self._number = reload.number
            self.use(reload.planner)

    def plan_syncs(self, connection: Connection, limit: int, *, new: bool = True) -> list[Planning]:
        """Plan syncs that have waited, with what was seen of them, and then the oldest new ones.

        Args:
            connection: sees the new ones.
            limit: as many at most; none while there are no rules.
            new: whether there are new ones.
        """
        made: list[Planning] = []
        self._size = 0
        with suppress(Stopped):  # what is not planned yet stays as it is
            for planning in chain(self._seen(limit), self._new(connection, limit) if new else ()):
                made.append(planning)
                runs = sum(len(plan.runs) for planning in made for plan in planning.plans)
                if len(made) == limit or runs > MOST_RUNS or self._size > MEMORY_TOGETHER:
                    break
        return made

    def _seen(self, limit: int) -> Iterator[Planning]:
        if self._planner:
            yield from map(partial(self._plan_seen, self._planner), self.handover.seen(limit))

    def _new(self, connection: Connection, limit: int) -> Iterator[Planning]:
        if self._planner is None:
            return
        waiting = self.waiting(self._number)

        def query(
            without: Collection[str] = (), only: Collection[str] | None = None
        ) -> Sequence[NewSync]:
            return new_syncs(connection, limit, {*waiting, *without}, only)

        chosen, given_up = self._guard.choose(connection, "syncs", query)
        ids = [one.id for one in chosen]
        stored, memories = stored_syncs(connection, ids), memories_of(connection, ids)
        for one in chosen:
            work = partial(self._plan, self._planner, connection, stored[one.id], memories)
            refusal = given_up or too_many(one.resources, self._max_resources)
            planned: Planning | str | None = refusal or self._bounded(work, "sync.bug", sync=one.id)
            if planned is None:
                self._guard.release([one.id])
            else:
                yield _failed(one, planned) if isinstance(planned, str) else planned

    def step_plans(self, connection: Connection, limit: int) -> list[tuple[StoredPlan, Advance]]:
        """Return the next steps of the plans that something happened to."""
        made: list[tuple[StoredPlan, Advance]] = []
        query = partial(signalled_plans, connection, limit)
        plans, given_up = self._guard.choose(connection, "steps", query)
        with suppress(Stopped):
            for stored in plans:
                taken = given_up or self._step(connection, stored)
                advance = _failed_step(stored.plan, taken) if isinstance(taken, str) else taken
                made.append((stored, advance))
        return made

    def clear_begun(self, connection: Connection, waited: Iterable[str] = ()) -> None:
        """Delete the record of what was begun, and of syncs that others began, which have waited.

        It is done in the transaction that stores what came of it.
        """
        self._guard.clear(connection)
        self._guard.clear_some(connection, waited)

    def plan_replays(
        self, connection: Connection, limit: int
    ) -> list[tuple[Replay, Planning | str]]:
        """Plan the syncs that operators want replayed; a text is why that cannot be done.

        None while changed rule files are not in force yet: an operator who mends a rule and replays
        a sync means the mended rule.
        """
        if self._rules.is_behind() or not (self._planner or self._refused):
            return []
        made: list[tuple[Replay, Planning | str]] = []
        query = partial(asked_replays, connection, limit)
        chosen, given_up = self._guard.choose(connection, "replays", query)
        with suppress(Stopped):
            for one in chosen:
                too_large = too_many(one.stored.resources, self._max_resources)
                made.append((one, given_up or too_large or self._replay(connection, one)))
        return made

    def _replay(self, connection: Connection, replay: Replay) -> Planning | str:
        planner = self._planner
        if planner is None:
            return f"no rules are in force: {first_line(self._refused)}"
        if self._refused and not replay.any_rules:
            return f"the rule files are refused: {first_line(self._refused)}"
        names = planner.names
        if replay.rule and replay.rule not in names:
            hint = did_you_mean(replay.rule, names)
            return f"no rule {replay.rule} is in force" + (f" ({hint})" if hint else "")
        about: dict[str, Json] = {"replay": replay.id, "by": replay.by}
        about |= {"rule": replay.rule} if replay.rule else {}

        def plan() -> Planning:
            stored, recalled, until = replay.stored, replay.stored.recalled, None
            if recalled.observed and recalled.observed.blind and not replay.asked_again:
                until = self.verify_until(connection, stored.sender)
            if until:
                recalled = replace(recalled, observed=None)
            sync = with_recalled(self._syncs.read(stored), recalled)
            planning = planner.replay(
                sync, stored.delivery, rule=replay.rule, about=about, verify_until=until
            )
            return replace(planning, recalled=recalled)

        return self._bounded(plan, "sync.bug", sync=replay.stored.id)

    def _bounded(self, work: Callable[[], T], bug: str, **about: str) -> T | str:
        """Return what the work returns, or why it could not be done within its bounds.

        One sync, or plan, for which it fails holds up no other.
        """
        shares = Shares(LONGEST, self.checkpoint, self._costly)
        try:
            with sharing(shares):
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
        finally:
            self._size += shares.size

    def _plan(
        self, planner: Planner, connection: Connection, new: Callable[[], StoredSync],
        memories: dict[MemoryKey, Memory],
    ) -> Planning | None:  # fmt: skip
        stored = new()
        sync = self._syncs.read(stored)
        if stored.recalled.observed is not None:
            return planner.plan_verified(sync, stored.delivery, stored.recalled)
        unread = self.rules_brought(sync, self._number)
        if unread is None:
            return None
        planning = self._first(planner, connection, stored, sync, memories)
        if unread:
            event = Event("sync.rules_unread", {"reason": unread}, stored.delivery, stored.id)
            planning = replace(planning, events=(event, *planning.events))
        return planning

    def _first(
        self, planner: Planner, connection: Connection, stored: StoredSync, sync: Sync,
        memories: dict[MemoryKey, Memory],
    ) -> Planning:  # fmt: skip
        memory = memories.get(key := memory_key(sync), Memory())
        refusal = self._too_old(stored, sync)
        planning = planner.plan(
            sync, stored.delivery, memory, refusal=refusal,
            verify_until=self.verify_until(connection, sync.sender),
        )  # fmt: skip
        if planning.wanted:
            kept = replace(stored, body=b"", recalled=planning.recalled)
            judged = with_recalled(sync, planning.recalled)
            self.handover.keep(planner, Asked(kept, sync, judged, planning.wanted))
        if planning.memory_update is None:
            return planning
        remembered = apply_update(memory, planning.memory_update)
        if remembered is memory:  # as mostly; and while we plan nobody else does
            return replace(planning, memory_update=None)
        memories[key] = remembered
        return planning

    def _plan_seen(self, planner: Planner, seen: SeenSync) -> Planning:
        stored, sync = seen.stored, seen.listed
        assert sync  # noqa: S101 only such are handed over
        recalled = replace(stored.recalled, observed=seen.observed)
        work = partial(planner.plan_verified, sync, stored.delivery, recalled)
        planned: Planning | str = self._bounded(work, "sync.bug", sync=stored.id)
        if isinstance(planned, str):
            planned = replace(_failed(stored, planned), recalled=recalled)
        self._syncs.keep(sync)
        return replace(
            planned, was=SyncState.VERIFYING, fields=seen.fields,
            events=(seen.event, *planned.events),
        )  # fmt: skip

    def _step(self, connection: Connection, stored: StoredPlan) -> Advance | str:
        plan = stored.plan

        def work() -> Advance | str:
            rule = self._rules.rule(plan.rule_set, plan.rule)
            whose = RuleMatch(rule, matched=True)
            made = for_each((whose,), lambda one: step(stored, one.rule, read, self._renderer))
            return made[0] if made else used_up()[tenant_of(plan.rule)]

        def read(sync: str) -> Sync:
            return self._syncs.get(sync) or self._syncs.read(stored_sync(connection, sync))

        return self._bounded(work, "plan.bug", plan=plan.id)

    def _too_old(self, stored: StoredSync, sync: Sync) -> str:
        """Return why a sync is stored only: it finished long ago, or before we were here."""
        if sync.finished_at is None:
            return ""
        received = from_ms(stored.received_at)
        finished = rfc3339(sync.finished_at)
        # Argo CD writes whole seconds: a sync of the second in which we came is ours.
        if self.act_since and sync.finished_at < self.act_since - timedelta(seconds=1):
            return f"finished at {finished}, before this ledger acts ({rfc3339(self.act_since)})"
        if sync.finished_at < received - timedelta(seconds=self._max_age):
            return f"finished at {finished}, more than {self._max_age:g} s ago"
        return ""


def _failed(new: NewSync | StoredSync, reason: str) -> Planning:
    """Return the planning of a sync that cannot be planned; an operator can replay it."""
    event = Event("sync.failed", {"reason": reason}, new.delivery, new.id)
    return Planning(new.id, "", SyncState.FAILED, reason, None, events=(event,))


def _failed_step(plan: Plan, why: str) -> Advance:
    reason = f"broke off: {why}"
    event = plan.event("plan.failed", {"reason": reason})
    return Advance(plan.id, plan.sync, "", end=PlanState.FAILED, reason=reason, events=(event,))
