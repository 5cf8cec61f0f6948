"""What a turn works out beforehand, when the ledger fails meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest
from desks import TWO
from house import House
from planning import planner_of, renderer
from sqlalchemy import text

from receiver.core.errors import LedgerUnavailable
from receiver.core.interruption import Stopped
from receiver.core.logs import configure_logs
from receiver.core.model import Event, Outcome, OutcomeKind
from receiver.core.states import PlanState, RunState, SyncState
from receiver.dispatcher.preparation import Preparation
from receiver.dispatcher.rule_sets import RulesInForce
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.plans.outcomes import store_settlements
from receiver.ledger.plans.poison_guard import MAX_DEATHS, PoisonGuard, record_start
from receiver.ledger.plans.store import store_plannings
from receiver.ledger.plans.verification import store_observed
from receiver.notification.live_verdicts import Observed
from receiver.notification.recalled import Recalled
from receiver.planning.retry import settle
from receiver.rules.expressions.cel import Expressions
from receiver.rules.handlers.registry import Registry
from receiver.rules.loading.load import Rulebook


@pytest.fixture
def preparation(ledger: Ledger, tmp_path: Path) -> Preparation:
    expressions = Expressions()
    rulebook = Rulebook([tmp_path], Registry.discover(), expressions)
    rules = RulesInForce(
        rulebook, ledger, expressions, renderer(), lambda: None, configure_logs("json")
    )
    log = configure_logs("json")
    guard = PoisonGuard(ledger, "w-1")
    made = Preparation(rules, renderer(), guard, log, max_age=1e9, max_resources=100)
    made.use(planner_of(TWO))
    return made


def test_a_ledger_that_fails_while_a_sync_is_planned_is_no_fault_of_the_sync(
    ledger: Ledger, preparation: Preparation
) -> None:
    """The turn is taken again; a sync that failed because of it would never be acted upon."""
    House.of(ledger, TWO).store("a")
    with ledger.write() as connection:
        connection.execute(text("ALTER TABLE memories RENAME TO elsewhere"))
    with pytest.raises(LedgerUnavailable, match="memories"), ledger.read() as connection:
        preparation.plan_syncs(connection, 10)
    with ledger.write() as connection:
        connection.execute(text("ALTER TABLE elsewhere RENAME TO memories"))
    with ledger.read() as connection:
        (planning,) = preparation.plan_syncs(connection, 10)
    assert [plan.rule for plan in planning.plans] == ["r"]


def test_a_sync_that_lists_too_many_resources_is_told_as_failed(
    ledger: Ledger, preparation: Preparation
) -> None:
    """Nothing of it is read; its neighbour is planned, and the trail says what to change."""
    house = House.of(ledger, TWO)
    large, small = house.store(*(f"r{n}" for n in range(101))), house.store("a", at=1)
    with ledger.read() as connection:
        plannings = {one.sync: one for one in preparation.plan_syncs(connection, 10)}
    assert plannings[large].state is SyncState.FAILED
    assert plannings[large].reason == (
        "too large: it lists 101 resources, more than maxResources (100)"
    )
    assert [event.name for event in plannings[large].events] == ["sync.failed"]
    assert [plan.rule for plan in plannings[small].plans] == ["r"]


def test_a_turn_reads_no_more_than_it_may_cost(
    ledger: Ledger, preparation: Preparation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Syncs that list much come one after another, and each has its turn."""
    house = House.of(ledger, TWO)
    for at in range(3):
        house.store(*(f"r{n}" for n in range(60)), at=at)
    monkeypatch.setattr("receiver.ledger.plans.load.MOST_RESOURCES", 130)
    with ledger.read() as connection:
        assert len(preparation.plan_syncs(connection, 10)) == 2
    monkeypatch.setattr("receiver.ledger.plans.load.MOST_RESOURCES", 1)
    with ledger.read() as connection:
        assert len(preparation.plan_syncs(connection, 10)) == 1


def test_a_sync_of_a_sender_with_a_connection_is_verified_first(
    ledger: Ledger, preparation: Preparation
) -> None:
    """It waits where a rule wants it, and is planned with what was observed; others at once."""
    house = House.of(ledger, TWO)
    preparation.verify_until = lambda connection, sender: (
        ledger.now(connection) + 1000 if sender == "argocd" else None
    )
    wanted, other = house.store("a"), house.store("a", sender="other")
    with ledger.read() as connection:
        made = {one.sync: one for one in preparation.plan_syncs(connection, 10)}
    assert made[wanted].state is SyncState.VERIFYING
    assert made[wanted].verify_until
    assert made[wanted].plans == ()
    assert made[other].state is SyncState.PLANNED
    with ledger.write() as connection:
        uow = UnitOfWork(connection, ledger.now(connection))
        store_plannings(uow, list(made.values()))
        uow.finish()
        event = Event("sync.verified", {}, sync=wanted)
        store_observed(uow, wanted, Recalled(observed=Observed()), event)
    with ledger.read() as connection:
        (planning,) = preparation.plan_syncs(connection, 10)
    assert (planning.sync, planning.state) == (wanted, SyncState.PLANNED)
    assert [plan.rule for plan in planning.plans] == ["r"]


def died(ledger: Ledger, sync: str, times: int) -> None:
    """So many processes, one after another, began to plan it and ended."""
    for number in range(times):
        with ledger.write() as connection:
            record_start(connection, f"w-dead-{number}", [sync])


def test_what_a_process_may_have_died_of_is_planned_after_the_rest_and_alone(
    ledger: Ledger, preparation: Preparation
) -> None:
    """So that the next one can only die of it, and has planned all others before."""
    house = House.of(ledger, TWO)
    first, second, third = (house.store("a", at=at) for at in range(3))
    died(ledger, first, 1)
    died(ledger, second, 2)
    turns = []
    for _ in range(3):
        with ledger.read() as connection:
            turns.append(preparation.plan_syncs(connection, 10))
        with ledger.write() as connection:
            uow = UnitOfWork(connection, ledger.now(connection))
            store_plannings(uow, turns[-1])
            uow.finish()
            preparation.clear_begun(connection)
    assert [[one.sync for one in turn] for turn in turns] == [[third], [first], [second]]
    assert {one.state for turn in turns for one in turn} == {SyncState.PLANNED}
    assert house.query("SELECT COUNT(*) FROM planning_attempts") == [0]


def test_a_suspect_has_its_turn_however_much_else_there_is(
    ledger: Ledger, preparation: Preparation
) -> None:
    """New syncs that never cease do not hold it up for ever."""
    house = House.of(ledger, TWO)
    suspect = house.store("a")
    died(ledger, suspect, 1)
    turns = []
    for at in range(1, 5):
        house.store("a", at=at)
        with ledger.read() as connection:
            turns.append([one.sync for one in preparation.plan_syncs(connection, 10)])
    assert next(turn for turn in turns if suspect in turn) == [suspect]


def test_what_three_processes_died_of_is_set_aside(
    ledger: Ledger, preparation: Preparation
) -> None:
    """It is told as failed, with why; nobody begins it again."""
    house = House.of(ledger, TWO)
    poison = house.store("a")
    died(ledger, poison, MAX_DEATHS)
    with ledger.read() as connection:
        (planning,) = preparation.plan_syncs(connection, 10)
    assert planning.state is SyncState.FAILED
    assert planning.reason == "3 processes in a row ended while they planned it"


def test_a_process_that_lives_on_is_counted_once(ledger: Ledger, preparation: Preparation) -> None:
    """A turn that the ledger broke off is taken again, however often."""
    house = House.of(ledger, TWO)
    house.store("a")
    for _ in range(MAX_DEATHS + 1):
        with ledger.read() as connection:
            (planning,) = preparation.plan_syncs(connection, 10)
        assert planning.state is SyncState.PLANNED
    assert house.query("SELECT attempts FROM planning_attempts") == [1]


def test_a_step_that_three_processes_died_of_fails_its_plan(
    ledger: Ledger, preparation: Preparation
) -> None:
    """The rest of the plan is not begun, and the plans of others take their steps."""
    house = House.of(ledger, TWO)
    house.sync("a")
    house.claim()
    with ledger.write() as connection:
        connection.execute(text("UPDATE plans SET signals = 1"))
    [plan] = house.plans("id")
    died(ledger, plan, MAX_DEATHS)
    with ledger.read() as connection:
        ((_, advance),) = preparation.step_plans(connection, 10)
    assert (advance.end, advance.reason) == (
        PlanState.FAILED, "broke off: 3 processes in a row ended while they planned it",
    )  # fmt: skip


def test_a_stored_output_that_cannot_be_read_fails_its_plan_alone(
    ledger: Ledger, preparation: Preparation
) -> None:
    """The plans of others take their steps in the same turn."""
    house = House.of(ledger, TWO)
    damaged, sound = house.sync("a"), house.sync("a", at=1)
    claimed = house.claim()
    with ledger.write() as connection:
        uow = UnitOfWork(connection, ledger.now(connection))
        ended = [settle(run, Outcome(OutcomeKind.SUCCEEDED), uow.now) for run in claimed]
        store_settlements(uow, "w-1", ended)
        uow.finish()
        connection.execute(
            text("UPDATE runs SET output = '{' WHERE sync_id = :sync"), {"sync": damaged}
        )
    with ledger.read() as connection:
        steps = {stored.plan.sync: step for stored, step in preparation.step_plans(connection, 10)}
    assert steps[damaged].end is PlanState.FAILED
    assert "JSONDecodeError" in steps[damaged].reason
    assert [change.state for change in steps[sound].changes] == [RunState.DUE]


def test_planning_that_is_told_to_stop_leaves_the_rest_new(
    ledger: Ledger, preparation: Preparation
) -> None:
    """What is worked out by then is kept, and nobody is suspected."""
    house = House.of(ledger, TWO)
    for at in range(3):
        house.store("a", at=at)
    asked = iter([None, None])

    def pulse() -> None:
        if next(asked, "no more") is not None:
            raise Stopped

    preparation.checkpoint = pulse
    with ledger.read() as connection:
        made = preparation.plan_syncs(connection, 10)
    assert len(made) < 3
    assert all(one.state is SyncState.PLANNED for one in made)


def test_planning_that_takes_too_long_fails_its_sync_alone(
    ledger: Ledger, preparation: Preparation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the processor's time; the reason says so."""
    monkeypatch.setattr("receiver.dispatcher.preparation.LONGEST", 0.0)
    House.of(ledger, TWO).store("a")
    with ledger.read() as connection:
        (planning,) = preparation.plan_syncs(connection, 10)
    assert planning.state is SyncState.FAILED
    assert "took more than 0 s of a core" in planning.reason


def test_a_sync_whose_plans_are_too_many_fails_before_they_are_made(
    ledger: Ledger, preparation: Preparation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its neighbour is planned; the reason counts, and names the way to plan one rule of them."""
    monkeypatch.setattr("receiver.planning.sync_size.MOST_RUNS", 10)
    house = House.of(ledger, TWO)
    large, small = house.store(*(f"r{n}" for n in range(10))), house.store("a", at=1)
    with ledger.read() as connection:
        plannings = {one.sync: one for one in preparation.plan_syncs(connection, 10)}
    assert plannings[large].state is SyncState.FAILED
    assert "1 rules match, with 10 targets and 11 runs" in plannings[large].reason
    assert "--rule RULE" in plannings[large].reason
    assert plannings[small].state is SyncState.PLANNED
