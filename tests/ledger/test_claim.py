"""Handing due work out, and writing what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from planning import made_run
from sqlalchemy import Connection, insert, select, text

from receiver.contract import Rate
from receiver.core.model import Outcome, OutcomeKind, new_id
from receiver.core.states import PlanState, RunState, SyncState
from receiver.ledger import tables
from receiver.ledger.engine.ledger import Ledger, LockMode
from receiver.ledger.engine.sqlite import SqliteLedger
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.plans.load import signalled_plans
from receiver.ledger.plans.outcomes import Settlement, store_settlements
from receiver.ledger.plans.records import Advance, NewPlan, Planning, RunChange, StoredPlan
from receiver.ledger.plans.store import store_advances, store_plannings
from receiver.ledger.queue.claim import ClaimedRun, claim, hurry, ready_runs, wake
from receiver.ledger.queue.leases import release_lost, renew
from receiver.ledger.queue.pending_work import find_pending_work
from receiver.ledger.queue.rate_limits import Buckets
from receiver.planning.retry import backoff, settle

POLICY = {
    "for": 3600.0, "initialDelay": 2.0, "factor": 2.0, "maxDelay": 300.0, "timeout": 30.0,
    "deadline": 3600.0,
}  # fmt: skip


def add_plan(
    ledger: Ledger,
    runs: int = 1,
    *,
    lane: str = "cdn",
    flow: str = "r shop",
    key: str = "",
    targets: bool = False,
    waiting: int = 0,
) -> NewPlan:
    """Store a plan whose runs are all due, but for the last ones, which wait for their wave."""
    sync, plan = new_id("s"), new_id("p")
    new = tuple(
        made_run(
            plan=plan,
            sync=sync,
            flow=flow,
            action="a",
            target=f"t{i}",
            target_index=i if targets else None,
            policy=POLICY,
        )
        for i in range(runs + waiting)
    )
    changes = tuple(RunChange(r.id, RunState.DUE, "", {"text": "x"}, {}, lane) for r in new[:runs])
    first = Advance(plan, sync, flow, changes=changes)
    made = NewPlan(plan, "r", "0" * 64, "run", [], key or None, 1 if key else None, new, first)
    planning = Planning(sync, "argocd/shop", SyncState.PLANNED, "", "0" * 64, plans=(made,))
    row = {
        "id": sync, "identity": sync, "delivery_id": "d", "sender": "argocd", "channel": "sync",
        "application": "argocd/shop", "uid": "", "phase": "Succeeded", "revision": "",
        "received_at": 0, "resources": 0, "project": "web", "state": "new", "reason": "",
    }  # fmt: skip
    with ledger.write() as connection:
        connection.execute(insert(tables.syncs).values(row))
        plan_all(connection, ledger.now(connection), planning)
    return made


def take(ledger: Ledger, free: int = 16, limit: int = 16, **options: Any) -> list[ClaimedRun]:
    with ledger.write(options.pop("hold", LockMode.EXCLUSIVE)) as connection:
        now = options.pop("now", None) or ledger.now(connection)
        wake(connection, now)
        uow = UnitOfWork(connection, now)
        taken = claim(
            uow, owner=options.pop("owner", "w-1"), lease=30_000, free=free,
            busy=options.pop("busy", {}), lane_limit=limit,
            pace=options.pop("pace", Buckets({})), ahead=options.pop("ahead", {}),
        )  # fmt: skip
        uow.finish()
    return list(taken.runs)


def write(
    ledger: Ledger,
    items: Sequence[Settlement],
    owner: str = "w-1",
    hold: LockMode = LockMode.EXCLUSIVE,
) -> list[str]:
    with ledger.write(hold) as connection:
        uow = UnitOfWork(connection, ledger.now(connection))
        store_settlements(uow, owner, items)
        uow.finish()
    return [event.name for event in uow.events]


def plan_all(connection: Connection, now: int, *plannings: Planning) -> list[str]:
    uow = UnitOfWork(connection, now)
    store_plannings(uow, plannings)
    uow.finish()
    return [event.name for event in uow.events]


def step_on(connection: Connection, now: int, plan: StoredPlan, advance: Advance) -> None:
    uow = UnitOfWork(connection, now)
    store_advances(uow, [(plan, advance)])
    uow.finish()


def outcome(kind: OutcomeKind, **values: Any) -> Outcome:
    return Outcome(kind, **values)


def test_a_claimed_run_is_claimed_by_nobody_else(ledger: Ledger) -> None:
    """Two claims share the due runs, each run in one of them."""
    add_plan(ledger, 5)
    first, second = take(ledger, 6), take(ledger, 6, owner="w-2")
    assert (len(first), len(second)) == (3, 2)
    assert not {run.id for run in first} & {run.id for run in second}


def test_a_lane_gets_no_more_than_its_part_of_the_threads(ledger: Ledger) -> None:
    """A slow host with many runs leaves room for the others."""
    add_plan(ledger, 20, lane="slow")
    add_plan(ledger, 2, lane="quick", flow="other shop")
    lanes = [run.lane for run in take(ledger, 16, limit=4)]
    assert (lanes.count("slow"), lanes.count("quick")) == (4, 2)
    assert take(ledger, 16, limit=4, busy={"slow": 4}) == []


def test_of_a_quick_lane_more_are_taken_than_it_has_threads(ledger: Ledger) -> None:
    """They wait for one of its threads, and take none from other lanes."""
    for lane in ("quick", "slow"):
        add_plan(ledger, runs=20, lane=lane)
    taken = take(ledger, free=64, limit=4, ahead={"quick": 3})
    assert Counter(run.lane for run in taken) == {"quick": 4 + 3, "slow": 4}
    more = take(ledger, free=60, limit=4, ahead={"quick": 2}, busy={"quick": 4})
    assert Counter(run.lane for run in more) == {"quick": 2, "slow": 4}


def test_a_lane_begins_no_more_than_its_service_takes(ledger: Ledger) -> None:
    """The rest waits for its tokens and says when; other lanes go on."""
    add_plan(ledger, 5, lane="limited")
    add_plan(ledger, 2, lane="free", flow="other shop")
    pace = Buckets({"log.message": Rate(per_second=1, burst=2)})
    lanes = [run.lane for run in take(ledger, 16, pace=pace)]
    assert (lanes.count("limited"), lanes.count("free")) == (2, 2)
    with ledger.write() as connection:
        now = ledger.now(connection)
        nothing = claim(
            UnitOfWork(connection, now),
            owner="w-1",
            lease=1,
            free=9,
            busy={},
            lane_limit=9,
            pace=pace,
        )
    assert nothing.runs == ()
    assert nothing.again_at is not None
    assert now < nothing.again_at <= now + 1001


def test_all_rules_of_a_tenant_begin_no_more_than_its_rate(ledger: Ledger) -> None:
    """Over all of its lanes together, each of which has its turn; others go on."""
    for lane in ("a.example of team-a", "b.example of team-a key", "a.example of team-b"):
        add_plan(ledger, 4, lane=lane, flow=f"{lane} shop")
    add_plan(ledger, 4, lane="a.example", flow="own shop")
    rates = {"team-a": Rate(per_second=0.001, burst=4)}
    pace = Buckets({}, of_tenant=rates.get)
    taken = Counter(run.lane for run in take(ledger, 64, pace=pace))
    assert taken == {
        "a.example of team-a": 2, "b.example of team-a key": 2, "a.example of team-b": 4,
        "a.example": 4,
    }  # fmt: skip
    with ledger.write() as connection:
        uow = UnitOfWork(connection, ledger.now(connection))
        nothing = claim(uow, owner="w", lease=1, free=9, busy={}, lane_limit=9, pace=pace)
    assert nothing.runs == ()
    assert nothing.again_at is not None
    assert uow.now < nothing.again_at <= uow.now + 1_000_001


def test_a_limit_that_was_met_blocks_its_lane_until_the_time_that_was_asked_for(
    ledger: Ledger,
) -> None:
    """A 429 of one run keeps the others of its credential back, and the trail tells until when."""
    add_plan(ledger, 2, lane="limited")
    add_plan(ledger, 1, lane="free", flow="other shop")
    (first,) = take(ledger, 1)
    refused = Outcome(OutcomeKind.TEMPORARY, "answered 429", delay=600, limited=True)
    with ledger.read() as connection:
        now = ledger.now(connection)
    assert "lane.blocked" in write(ledger, [settle(first, refused, now)])
    assert [run.lane for run in take(ledger, 9)] == ["free"]
    assert [run.lane for run in take(ledger, 9, now=now + 605_000)] == ["limited", "limited"]


def test_hosts_that_hang_leave_threads_to_the_others_however_many_they_are(ledger: Ledger) -> None:
    """Four of them, each with a quarter of the threads, would have all."""
    for number in range(4):
        add_plan(ledger, 16, lane=f"hangs{number}", flow=f"{number} shop")
    taken = [run.lane for run in take(ledger, 16, limit=4)]
    busy = Counter(taken)
    assert len(taken) < 16
    add_plan(ledger, 4, lane="healthy", flow="other shop")
    assert {run.lane for run in take(ledger, 16 - len(taken), limit=4, busy=busy)} == {"healthy"}


def test_a_rule_with_many_runs_does_not_delay_another(ledger: Ledger) -> None:
    """Each rule and application has its turn, whoever came first."""
    add_plan(ledger, 50, flow="greedy shop")
    take(ledger, 4)
    modest = add_plan(ledger, 1, flow="modest shop")
    assert modest.runs[0].id in {run.id for run in take(ledger, 4)}


def test_what_is_ready_is_counted_up_to_a_bound(ledger: Ledger) -> None:
    """However much there is, a look costs the same."""
    add_plan(ledger, 5, lane="a")
    add_plan(ledger, 3, lane="b")
    with ledger.read() as connection:
        assert ready_runs(connection, 64) == 8
        assert ready_runs(connection, 4) == 4
        assert ready_runs(connection, 64, without={"b"}) == 5


def test_a_later_run_of_the_same_share_queues_behind_the_earlier(ledger: Ledger) -> None:
    """Within a flow the order is that of arrival."""
    runs = [run.id for plan in (add_plan(ledger, 2), add_plan(ledger, 2)) for run in plan.runs]
    assert [run.id for run in take(ledger)] == runs


def test_a_retry_becomes_due_at_its_time_and_not_before(ledger: Ledger) -> None:
    """Waiting happens in the ledger, as a time."""
    add_plan(ledger)
    run = take(ledger)[0]
    failed = outcome(OutcomeKind.TEMPORARY, reason="503", delay=60.0)
    with ledger.read() as connection:
        now = ledger.now(connection)
    write(ledger, [settle(run, failed, now)])
    assert take(ledger) == []
    again = take(ledger, now=now + 61_000)
    assert [(r.id, r.attempt, r.failures) for r in again] == [(run.id, 2, 1)]


def test_a_pending_run_comes_back_with_its_state(ledger: Ledger) -> None:
    """The other side goes on working; any worker asks again with what the handler left."""
    add_plan(ledger)
    run = take(ledger)[0]
    pending = outcome(OutcomeKind.PENDING, state={"job": 7}, delay=5.0)
    write(ledger, [settle(run, pending, run.first_attempt_at)])
    again = take(ledger, now=run.first_attempt_at + 5_001, owner="w-2")[0]
    assert (again.state, again.pending) == ({"job": 7}, True)


def test_a_pending_run_that_is_woken_is_asked_at_once(ledger: Ledger) -> None:
    """However many wait for the same thing: PostgreSQL takes no more than 65,535 parameters."""
    add_plan(ledger)
    run = take(ledger)[0]
    pending = outcome(OutcomeKind.PENDING, state={"job": 7}, delay=60.0)
    write(ledger, [settle(run, pending, run.first_attempt_at)])
    with ledger.write() as connection:
        uow = UnitOfWork(connection, run.first_attempt_at)
        hurry(uow, [run.id, *(f"r-{n}" for n in range(70_000))])
    (again,) = take(ledger, now=run.first_attempt_at + 1)
    assert again.id == run.id


def test_an_attempt_that_was_taken_over_cannot_write(ledger: Ledger) -> None:
    """The outcome of a lost owner changes nothing and is told as superseded."""
    add_plan(ledger)
    run = take(ledger)[0]
    with ledger.write() as connection:
        release_lost(UnitOfWork(connection, ledger.now(connection)), alone="w-2")
    again = take(ledger, owner="w-2")[0]
    late = settle(run, outcome(OutcomeKind.SUCCEEDED), 0)
    assert write(ledger, [late]) == ["attempt.superseded"]
    assert write(ledger, [settle(again, outcome(OutcomeKind.SUCCEEDED), 0)], "w-2") == [
        "attempt.succeeded", "plan.succeeded",
    ]  # fmt: skip


def test_a_lost_attempt_is_made_again_with_the_same_key(ledger: Ledger) -> None:
    """Nobody knows whether the other side did it, so it is asked for the same thing again."""
    add_plan(ledger)
    run = take(ledger)[0]
    with ledger.write() as connection:
        uow = UnitOfWork(connection, ledger.now(connection) + 31_000)
        release_lost(uow)
    assert [event.name for event in uow.events] == ["attempt.lost"]
    again = take(ledger, owner="w-2")[0]
    assert (again.id, again.key_number, again.attempt) == (run.id, run.key_number, 2)


def test_a_renewed_lease_is_not_lost(ledger: Ledger) -> None:
    """A heartbeat keeps what is worked on."""
    add_plan(ledger)
    run = take(ledger)[0]
    with ledger.write() as connection:
        now = ledger.now(connection)
        renew(connection, now + 20_000, "w-1", 30_000, [run.id])
        uow = UnitOfWork(connection, now + 40_000)
        release_lost(uow)
    assert uow.events == []


def test_only_the_last_of_many_targets_stirs_its_plan(ledger: Ledger) -> None:
    """To look costs as much as the plan has runs, and no step could be taken before."""
    add_plan(ledger, 3, targets=True, key="shop")
    runs = take(ledger)
    done = [settle(run, outcome(OutcomeKind.SUCCEEDED), 0) for run in runs]
    write(ledger, done[:2])
    assert stirs(ledger) == 0
    write(ledger, done[2:])
    assert stirs(ledger) == 1


def stirs(ledger: Ledger) -> int:
    with ledger.read() as connection:
        return connection.scalar(select(tables.plans.c.signals)) or 0


def test_an_ended_run_signals_its_plan(ledger: Ledger) -> None:
    """So that the next wave is released, even by a process that starts only then."""
    plan = add_plan(ledger, waiting=1)
    run = take(ledger)[0]
    write(ledger, [settle(run, outcome(OutcomeKind.SUCCEEDED, output={"a": 1}), 0)])
    with ledger.read() as connection:
        assert find_pending_work(connection, 0).signalled
        signalled = signalled_plans(connection, 10)
    (found,) = signalled
    assert (found.plan.id, {run.output for run in found.runs}) == (plan.id, {'{"a":1}', None})


def test_a_plan_of_which_all_has_ended_well_ends_with_its_last_outcome(ledger: Ledger) -> None:
    """No turn has to come for a step that could do nothing else."""
    add_plan(ledger, 2, targets=True)
    first, last = take(ledger)
    assert write(ledger, [settle(first, outcome(OutcomeKind.SUCCEEDED), 0)]) == [
        "attempt.succeeded"
    ]
    assert write(ledger, [settle(last, outcome(OutcomeKind.SUCCEEDED), 0)]) == [
        "attempt.succeeded", "plan.succeeded",
    ]  # fmt: skip
    assert ended_plan(ledger) == ("succeeded", True, 0)


@pytest.mark.parametrize(
    "because", ["signals = 1", "newer_plan = 'p-2'", "failure = 'x'", "concurrency_key = 'k'"]
)
def test_a_plan_that_may_end_otherwise_is_left_to_a_step(ledger: Ledger, because: str) -> None:
    """Something has happened to it, it is superseded or has failed, or another waits for it."""
    add_plan(ledger)
    (run,) = take(ledger)
    with ledger.write() as connection:
        connection.execute(text(f"UPDATE plans SET {because}"))
    write(ledger, [settle(run, outcome(OutcomeKind.SUCCEEDED), 0)])
    state, ended, signals = ended_plan(ledger)
    assert (state, ended) == ("active", False)
    assert signals > 0


def test_a_plan_of_which_a_run_has_failed_is_left_to_a_step(ledger: Ledger) -> None:
    """Its rule may go on in spite of that, or have something for that case."""
    add_plan(ledger, 2)
    first, last = take(ledger)
    ends = [settle(first, outcome(OutcomeKind.PERMANENT, reason="no"), 0)]
    write(ledger, [*ends, settle(last, outcome(OutcomeKind.SUCCEEDED), 0)])
    assert ended_plan(ledger) == ("active", False, 1)


def ended_plan(ledger: Ledger) -> tuple[str, bool, int]:
    """The only plan's state, whether it has ended, and its signals."""
    p = tables.plans.c
    with ledger.read() as connection:
        state, at, signals = connection.execute(select(p.state, p.ended_at, p.signals)).one()
    return state, at is not None, signals


def test_plans_of_one_key_run_one_after_the_other(ledger: Ledger) -> None:
    """With limit 1 the second waits, and is signalled when the first has ended."""
    first, second = add_plan(ledger, key="shop"), add_plan(ledger, key="shop")
    assert [run.plan for run in take(ledger)] == [first.id]
    ended = Advance(first.id, first.first.sync, "r shop", end=PlanState.SUCCEEDED)
    with ledger.write() as connection:
        connection.execute(text("UPDATE plans SET signals = 1 WHERE id = :id"), {"id": first.id})
        (stored,) = signalled_plans(connection, 10)
        step_on(connection, ledger.now(connection), stored, ended)
        assert [p.id for p in signalled_plans(connection, 10)] == [second.id]
        state = select(tables.plans.c.state).where(tables.plans.c.id == second.id)
        assert connection.scalar(state) == "active"


def test_a_sync_is_planned_once(ledger: Ledger) -> None:
    """A second planning of the same sync, by whomever, stores nothing."""
    plan = add_plan(ledger)
    again = replace(plan, id=new_id("p"), runs=(), first=replace(plan.first, changes=()))
    planning = Planning(plan.first.sync, "", SyncState.PLANNED, "", None, plans=(again,))
    with ledger.write() as connection:
        assert plan_all(connection, 0, planning) == []
        assert len(connection.execute(select(tables.plans.c.id)).all()) == 1


def test_a_claim_reads_indexes_alone(file_ledger: SqliteLedger) -> None:
    """Its cost does not grow with the history: no statement scans the table of runs."""
    add_plan(file_ledger)
    statements = {
        "lanes": f"SELECT MIN(lane) FROM runs WHERE {tables.READY_RUN}",
        "first": f"SELECT virtual_time FROM runs WHERE {tables.READY_RUN} AND lane = 'x' "
        "ORDER BY virtual_time",
        "sleeping": f"SELECT MIN(due_at) FROM runs WHERE {tables.SLEEPING_RUN}",
        "flow": f"SELECT MAX(virtual_time) FROM runs WHERE flow = 'x' AND {tables.QUEUED_RUN}",
        "lost": "SELECT id FROM runs WHERE state = 'running' AND lease_until < 5",
        "new": "SELECT 1 FROM syncs WHERE syncs.state = 'new' LIMIT 1",
        "signalled": "SELECT 1 FROM plans WHERE signals > 0 LIMIT 1",
        "replays": f"SELECT 1 FROM replays WHERE {tables.ASKED_REPLAY} LIMIT 1",
    }
    with file_ledger.read() as connection:
        for name, statement in statements.items():
            plan = connection.execute(text(f"EXPLAIN QUERY PLAN {statement}")).all()
            assert all("INDEX" in row[-1] for row in plan), (name, plan)


@pytest.mark.parametrize(
    ("failures", "bound"), [(1, 2), (2, 4), (3, 8), (8, 256), (9, 300), (60, 300)]
)
def test_the_delay_grows_up_to_its_bound(failures: int, bound: float) -> None:
    """Exponential from the initial delay, full jitter below it, never above the largest."""
    assert backoff(POLICY, failures, lambda: 1.0) == bound
    assert backoff(POLICY, failures, lambda: 0.0) == 0


def test_a_step_that_is_out_of_date_is_not_stored(ledger: Ledger) -> None:
    """A run that ends between a step's reading and its writing is not forgotten."""
    plan = add_plan(ledger, 2)
    first, second = take(ledger)
    write(ledger, [settle(first, outcome(OutcomeKind.SUCCEEDED), 0)])
    with ledger.read() as connection:
        (stored,) = signalled_plans(connection, 10)
    write(ledger, [settle(second, outcome(OutcomeKind.SUCCEEDED), 0)])
    nothing_yet = Advance(plan.id, plan.first.sync, "r shop")
    with ledger.write() as connection:
        step_on(connection, ledger.now(connection), stored, nothing_yet)
        assert [p.plan.signals for p in signalled_plans(connection, 10)] == [2]
