"""The dispatcher's work by hand, over a real ledger whose clock is turned: a step at a time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from notifications import notification, resource
from planning import planner_of, renderer
from sqlalchemy import Connection as SqlConnection
from sqlalchemy import text

from receiver.argocd.connection import Connection
from receiver.core.logs import configure_logs
from receiver.core.model import Outcome, OutcomeKind, Sync
from receiver.core.states import SyncState
from receiver.dispatcher.handover import Handover, SeenSync
from receiver.dispatcher.verification import Verification
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.inbox.deliveries import Arrival
from receiver.ledger.inbox.group_commit import IntakeWriter
from receiver.ledger.inbox.own_notifications import OwnNotifications
from receiver.ledger.operations.approve import approve_plan
from receiver.ledger.operations.common import Act
from receiver.ledger.operations.expire import expire_held
from receiver.ledger.operations.replay import ask_replay, asked_replays, store_replays
from receiver.ledger.operations.retry import retry_run
from receiver.ledger.plans.application_memory import memories_of
from receiver.ledger.plans.load import new_syncs, signalled_plans, stored_sync
from receiver.ledger.plans.outcomes import store_settlements
from receiver.ledger.plans.poison_guard import PoisonGuard
from receiver.ledger.plans.records import Planning
from receiver.ledger.plans.start import start_collected
from receiver.ledger.plans.store import store_advances, store_plannings
from receiver.ledger.plans.supersede import supersede_returned
from receiver.ledger.queue.claim import ClaimedRun, claim, hurry, wake
from receiver.ledger.queue.leases import give_back, release_lost, renew
from receiver.ledger.queue.pending_work import find_pending_work
from receiver.ledger.queue.rate_limits import Buckets
from receiver.notification.application_memory import Memory
from receiver.notification.parse import read_notification
from receiver.notification.recalled import with_recalled
from receiver.planning.planner import Planner, memory_key, read_sync, step
from receiver.planning.retry import settle
from receiver.rules.schema.rule_file import Rule

LEASE = 30_000
"""Milliseconds."""
NOON = datetime(2026, 6, 10, 12, tzinfo=UTC)


def later(ledger: Ledger, seconds: float) -> Ledger:
    """Give the same ledger with its clock turned."""
    turned = copy(ledger)
    turned.offset_ms += int(seconds * 1000)
    return turned


@dataclass
class House:
    """One ledger, the rules in force, and everybody who ever planned with others."""

    ledger: Ledger
    planner: Planner
    sets: dict[str, dict[str, Rule]] = field(default_factory=dict)
    pace: Buckets = field(default_factory=lambda: Buckets({}))
    verify_for: int = 0
    handover: Handover = field(default_factory=Handover)
    tells: OwnNotifications | None = None

    @classmethod
    def of(cls, ledger: Ledger, rules: str, *, verify_for: int = 0) -> House:
        house = cls(ledger, planner_of(rules), verify_for=verify_for)
        house._keep_rules()
        return house

    def use(self, rules: str) -> None:
        """Put other rules in force."""
        self.planner = planner_of(rules)
        self._keep_rules()

    def _keep_rules(self) -> None:
        rule_set = self.planner.rule_set
        self.sets[rule_set.digest] = {rule.name: rule for rule in rule_set.rules}

    def sync(self, *names: str | dict[str, Any], at: float = 0, **options: Any) -> str:
        """Store and plan a sync that changed these ConfigMaps, finished so many seconds after noon.

        The id of the sync.
        """
        return self.plan([self.store(*names, at=at, **options)])[0]

    def store(self, *names: str | dict[str, Any], at: float = 0, **options: Any) -> str:
        """Store a sync, and leave it to be planned; instead of a name, a resource may be given."""
        sender = options.pop("sender", "argocd")
        finished = NOON + timedelta(seconds=at)
        resources = (resource(name) if isinstance(name, str) else name for name in names)
        return self.bring(notification(*resources, finished=finished, **options), sender=sender)

    def bring(self, body: bytes, *, sender: str = "argocd", channel: str = "sync") -> str:
        """Store a notification, whatever its shape."""
        read = read_notification(body, sender=sender, channel=channel, query={})
        writer = IntakeWriter(self.ledger, lambda _at, _events: None, reaches=True)
        writer.start()
        try:
            return writer.submit(Arrival(sender, channel, body, datetime.now(UTC), read)).sync
        finally:
            writer.stop()

    def plan(self, syncs: Sequence[str]) -> list[str]:
        """Plan what is stored, and what was seen, in one transaction, as a turn does."""
        seen = self.handover.seen(100)
        with self.ledger.read() as connection:
            plannings = [self._with(one) for one in seen]
            for new in new_syncs(connection, 100):
                stored = stored_sync(connection, new.id)
                read = read_sync(stored)
                key = memory_key(read)
                memory = memories_of(connection, [stored.id]).get(key, Memory())
                plannings.append(
                    self.planner.plan_verified(read, stored.delivery, stored.recalled)
                    if stored.recalled.observed is not None
                    else self.planner.plan(
                        read, stored.delivery, memory,
                        verify_until=self._verify_until(connection),
                    )
                )  # fmt: skip
        with self.ledger.write() as connection:
            uow = self._unit_of_work(connection)
            store_plannings(uow, plannings)
            PoisonGuard(self.ledger, "w-1").clear_some(connection, [one.id for one in seen])
            self._finish(uow)
        self.handover.forget([one.id for one in seen])
        return list(syncs)

    def _with(self, seen: SeenSync) -> Planning:
        """Plan a sync that has waited."""
        stored, recalled = seen.stored, replace(seen.stored.recalled, observed=seen.observed)
        assert seen.listed
        planning = self.planner.plan_verified(seen.listed, stored.delivery, recalled)
        events = (seen.event, *planning.events)
        return replace(planning, was=SyncState.VERIFYING, fields=seen.fields, events=events)

    def verification(self, cluster: Connection, *, wakes: bool = True) -> Verification:
        """Make who reads live objects; what that hands over is planned at once, or left."""

        def wake() -> None:
            if wakes:
                self.plan([])

        return Verification(
            "argocd", cluster, self.ledger, lambda: self.planner, self.handover, wake,
            configure_logs("json"),
        )  # fmt: skip

    def _verify_until(self, connection: SqlConnection) -> int | None:
        """How long a sync of today may wait for its live objects, if anybody can ask."""
        return self.ledger.now(connection) + self.verify_for * 1000 if self.verify_for else None

    def turn(self) -> None:
        """Start what has collected, and take the next step of each plan until none is left."""
        while True:
            with self.ledger.read() as connection:
                todo = find_pending_work(connection, self.ledger.now(connection))
                steps = [
                    (stored, step(stored, self.sets[stored.plan.rule_set][stored.plan.rule],
                                lambda sync: read_sync(stored_sync(connection, sync)), renderer()))
                    for stored in signalled_plans(connection, 100)
                ]  # fmt: skip
            if not (steps or todo.timed):
                return
            with self.ledger.write() as connection:
                uow = self._unit_of_work(connection)
                store_advances(uow, steps)
                expire_held(uow)
                start_collected(uow)
                self._finish(uow)

    def claim(self, free: int = 100, *, owner: str = "w-1") -> list[ClaimedRun]:
        """Begin the attempts of due runs."""
        self.turn()
        with self.ledger.write() as connection:
            now = self.ledger.now(connection)
            wake(connection, now)
            uow = self._unit_of_work(connection)
            taken = claim(
                uow, owner=owner, lease=LEASE, free=free, busy={}, lane_limit=100,
                pace=self.pace,
            )  # fmt: skip
            self._finish(uow)
        return list(taken.runs)

    def hurry(self) -> list[ClaimedRun]:
        """Wake every run that is pending, and begin what is due."""
        with self.ledger.write() as connection:
            every = connection.scalars(text("SELECT id FROM runs")).all()
            hurry(self._unit_of_work(connection), every)
        return self.claim()

    def end(self, *runs: ClaimedRun, fails: str = "", temporary: bool = False) -> None:
        """Write how attempts ended."""
        bad = OutcomeKind.TEMPORARY if temporary else OutcomeKind.PERMANENT
        kind = bad if fails else OutcomeKind.SUCCEEDED
        self.answer(Outcome(kind, reason=fails), *runs)

    def answer(self, outcome: Outcome, *runs: ClaimedRun, owner: str = "w-1") -> None:
        """Write that attempts ended like this."""
        with self.ledger.write() as connection:
            uow = self._unit_of_work(connection)
            items = [settle(run, outcome, uow.now) for run in runs]
            store_settlements(uow, owner, items)
            self._finish(uow)
        self.turn()

    def give_back(self, *runs: ClaimedRun, owner: str = "w-1") -> None:
        """Let go of runs that were claimed and not begun, as a turn does."""
        with self.ledger.write() as connection:
            uow = self._unit_of_work(connection)
            give_back(uow, owner, runs, "slow")
            supersede_returned(uow, [run.id for run in runs])
            self._finish(uow)
        self.turn()

    def work(self) -> list[ClaimedRun]:
        """Do all that there is to do, well."""
        done = []
        while runs := self.claim():
            self.end(*runs)
            done += runs
        return done

    def approve(self, plan: str) -> None:
        """Have an operator let a held plan, or the held runs of a plan, go on."""
        with self.ledger.write() as connection:
            uow = self._unit_of_work(connection)
            approve_plan(uow, Act("ann"), plan)
            self._finish(uow)

    def retry(self, run: str) -> None:
        """Have an operator retry a run."""
        with self.ledger.write() as connection:
            uow = self._unit_of_work(connection)
            retry_run(uow, Act("ann"), run)
            self._finish(uow)

    def replay(self, sync: str) -> None:
        """Have an operator replay a sync, and plan it."""
        with self.ledger.write() as connection:
            uow = self._unit_of_work(connection)
            ask_replay(uow, Act("ann"), sync, "")
            self._finish(uow)
        with self.ledger.read() as connection:
            asked = [
                (
                    one,
                    self.planner.replay(
                        with_recalled(read_sync(one.stored), one.stored.recalled),
                        "d-1",
                        rule="",
                        about={},
                    ),
                )
                for one in asked_replays(connection, 10)
            ]
        with self.ledger.write() as connection:
            uow = self._unit_of_work(connection)
            store_replays(uow, asked)
            self._finish(uow)

    def beat(self, owner: str, *runs: ClaimedRun) -> None:
        """Give a sign of life: renew the leases of these runs, let go of others' lost ones."""
        with self.ledger.write() as connection:
            uow = self._unit_of_work(connection)
            renew(connection, uow.now, owner, LEASE, [run.id for run in runs])
            release_lost(uow)
            self._finish(uow)

    def pass_time(self, seconds: float) -> None:
        """Turn the clock."""
        self.ledger = later(self.ledger, seconds)

    def plans(self, columns: str = "state") -> list[Any]:
        """Read the plans in the order in which they were made; one column as its value."""
        return self.query(f"SELECT {columns} FROM plans ORDER BY rowid")

    def runs(self, columns: str = "state") -> list[Any]:
        """Read the runs in the order in which they were made."""
        return self.query(f"SELECT {columns} FROM runs ORDER BY rowid")

    def events(self, pattern: str) -> list[dict[str, Any]]:
        """Read the trail's lines whose event is like this, with their ids."""
        rows = self.query(
            "SELECT name, sync_id, plan_id, run_id, data FROM audit_events "
            f"WHERE name LIKE '{pattern.replace('*', '%')}' ORDER BY seq"
        )
        ids = ("event", "sync", "plan", "run")
        return [dict(zip(ids, row[:4], strict=True)) | json.loads(row[4]) for row in rows]

    def query(self, statement: str) -> list[Any]:
        """Look into the ledger."""
        with self.ledger.read() as connection:
            rows = connection.execute(text(statement)).all()
        return [row[0] if len(row) == 1 else tuple(row) for row in rows]

    def told(self) -> list[Sync]:
        """What there is on Postsync's own channel, the oldest first."""
        with self.ledger.read() as connection:
            ids = self.query("SELECT id FROM syncs WHERE channel = 'postsync' ORDER BY id")
            return [read_sync(stored_sync(connection, one)) for one in ids]

    def _finish(self, uow: UnitOfWork) -> None:
        """End a transaction, as a turn and an operator's act do."""
        if self.tells:
            self.tells.tell_held(uow)
        uow.finish()

    def _unit_of_work(self, connection: SqlConnection) -> UnitOfWork:
        return UnitOfWork(connection, self.ledger.now(connection))


def texts(runs: Sequence[ClaimedRun]) -> list[str]:
    """What `log.message` was given in each run."""
    return [run.parameters["text"] for run in runs]
