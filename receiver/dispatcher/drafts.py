"""Works out what a turn will write: the plans of new syncs, the next steps of plans.

Matching and rendering happen here, over a reading connection, so that they hold no lock.
"""

from __future__ import annotations

import traceback
from collections import OrderedDict
from datetime import datetime, timedelta

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from receiver.dispatcher.rules import Reload, RulesInForce
from receiver.errors import LedgerUnavailable
from receiver.ledger.memories import Place, known_memories
from receiver.ledger.operations.replaying import Replay, asked_replays
from receiver.ledger.planning import Advance, Planning, StoredPlan, StoredSync
from receiver.ledger.stored import new_syncs, stirred_plans, stored_sync
from receiver.logs import Log
from receiver.memory import Memory, after, judged
from receiver.mistakes import brief, near
from receiver.model import Event, PlanState, Sync, SyncState, from_ms, rfc3339
from receiver.planner import Planner, place_of, read_sync, step
from receiver.render import Renderer

KEPT_SYNCS = 64
"""Syncs kept as read: twice a turn's batch, since the next waves of a batch come together."""


class Drafts:
    """Plannings and steps, by the rules in force and by those of older plans."""

    def __init__(
        self, rules: RulesInForce, renderer: Renderer, log: Log, *, max_age: float
    ) -> None:
        self._rules = rules
        self._renderer = renderer
        self._log = log
        self._max_age = max_age
        self._planner: Planner | None = None
        self._refused = ""
        self._act_since: datetime | None = None
        self._syncs: OrderedDict[str, Sync] = OrderedDict()

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
        planner = self._planner
        drafts = [(stored, self._read(stored)) for stored in new_syncs(connection, limit)]
        wanted = {place_of(sync) for _, sync in drafts if isinstance(sync, Sync)}
        memories = known_memories(connection, wanted)
        return [
            self._plan(planner, stored, sync, memories) if isinstance(sync, Sync) else sync
            for stored, sync in drafts
        ]

    def steps(self, connection: Connection, limit: int) -> list[tuple[StoredPlan, Advance]]:
        """Work out the next steps of the plans that something happened to."""
        return [(plan, self._step(connection, plan)) for plan in stirred_plans(connection, limit)]

    def replays(self, connection: Connection, limit: int) -> list[tuple[Replay, Planning | str]]:
        """Plan the syncs anew that operators have asked for; a text says why that cannot be.

        None while rule files have changed that are not in force yet: whoever mends a rule and
        asks for a replay means the rule as it is mended.
        """
        if self._rules.behind() or not (self._planner or self._refused):
            return []
        return [(one, self._replay(one)) for one in asked_replays(connection, limit)]

    def _replay(self, replay: Replay) -> Planning | str:
        planner = self._planner
        if planner is None:
            return f"no rules are in force: {brief(self._refused)}"
        if self._refused and not replay.any_rules:
            return f"the rule files are refused: {brief(self._refused)}"
        names = [rule.name for rule in planner.rule_set.rules]
        if replay.rule and replay.rule not in names:
            hint = near(replay.rule, names)
            return f"no rule {replay.rule} is in force" + (f" ({hint})" if hint else "")
        about = {"replay": replay.id, "by": replay.by}
        about |= {"rule": replay.rule} if replay.rule else {}
        try:
            sync = judged(self._remember(replay.stored), replay.recalled)
            return planner.replay(sync, replay.stored.delivery, rule=replay.rule, about=about)
        except Exception as error:  # noqa: BLE001 as for a sync that is planned first
            self._log.error("sync.bug", sync=replay.stored.id, traceback=traceback.format_exc())
            return f"not planned: {type(error).__name__}; see the log"

    def _read(self, stored: StoredSync) -> Sync | Planning:
        try:
            return self._remember(stored)
        except Exception as error:  # noqa: BLE001 one sync that we cannot read holds up no other
            return self._not_planned(stored, error)

    def _plan(
        self,
        planner: Planner,
        stored: StoredSync,
        sync: Sync,
        memories: dict[Place, Memory],
    ) -> Planning:
        memory = memories.get(place_of(sync), Memory())
        try:
            refusal = self._too_old(stored, sync)
            planning = planner.plan(sync, stored.delivery, memory, refusal=refusal)
        except Exception as error:  # noqa: BLE001 one sync that we cannot plan holds up no other
            return self._not_planned(stored, error)
        if planning.told:
            memories[place_of(sync)] = after(memory, planning.told)
        return planning

    def _not_planned(self, stored: StoredSync, error: Exception) -> Planning:
        self._log.error("sync.bug", sync=stored.id, traceback=traceback.format_exc())
        reason = f"not planned: {type(error).__name__}; see the log"
        event = Event("sync.failed", {"reason": reason}, stored.delivery, stored.id)
        return Planning(stored.id, "", SyncState.FAILED, reason, None, events=(event,))

    def _step(self, connection: Connection, plan: StoredPlan) -> Advance:
        try:
            rule = self._rules.rule(plan.rule_set, plan.rule)
            return step(plan, rule, lambda sync: self._sync(connection, sync), self._renderer)
        except (DBAPIError, LedgerUnavailable):
            raise
        except Exception as error:  # noqa: BLE001 one plan that breaks holds up no other
            self._log.error("plan.bug", plan=plan.id, traceback=traceback.format_exc())
            reason = f"broke off: {type(error).__name__}; see the log"
            data = {"rule": plan.rule, "reason": reason}
            event = Event("plan.failed", data, sync=plan.sync, plan=plan.id)
            return Advance(
                plan.id, plan.sync, "", end=PlanState.FAILED, reason=reason, events=(event,)
            )

    def _sync(self, connection: Connection, sync: str) -> Sync:
        return self._syncs.get(sync) or self._remember(stored_sync(connection, sync))

    def _remember(self, stored: StoredSync) -> Sync:
        """Read a sync and keep it at hand: its next waves need it again soon."""
        sync = self._syncs[stored.id] = read_sync(stored)
        while len(self._syncs) > KEPT_SYNCS:
            self._syncs.popitem(last=False)
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
