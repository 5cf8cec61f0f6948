"""An operator pauses and resumes."""

from __future__ import annotations

import pytest
from desks import ANN, BOB, desk, house_of
from house import House, texts
from sqlalchemy import text

from receiver.ledger import tables
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.engine.open import open_ledger
from receiver.ledger.engine.sqlite import SqliteLedger
from receiver.ledger.operations.pause import _PAUSE, _RESUME
from receiver.ledger.queries.reader import Reader
from receiver.ledger.queue.pauses import Scope
from receiver.ledger.queue.pending_work import find_pending_work

RULES = """
- name: r
  match: {resources: [{kind: ConfigMap}]}
  actions: [{uses: log.message, with: {text: "r ${{ resource.name }}"}}]
- name: other
  match: {resources: [{kind: ConfigMap}]}
  actions: [{uses: log.message, deadline: 1h, with: {text: "other ${{ resource.name }}"}}]
"""
SCOPES = [(Scope.ALL, ""), (Scope.RULE, "r"), (Scope.HANDLER, "log.message")]
HOUR = 3600


def first_attempts(house: House) -> list[int | None]:
    """When the runs were first tried, as seconds before now."""
    with house.ledger.read() as connection:
        now = house.ledger.now(connection)
    found = house.query("SELECT first_attempt_at FROM runs ORDER BY rule DESC")
    return [None if at is None else round((now - at) / 1000) for at in found]


def gauges(house: House) -> dict[tuple[str, ...], float]:
    """The metrics that the ledger keeps, by name and values of labels."""
    found = Reader(house.ledger).counters()
    return {(name, *labels.values()): value for name, labels, value in found}


def test_what_is_paused_is_not_claimed_and_the_rest_is(ledger: Ledger) -> None:
    """Runs that were due before, and those that become due meanwhile."""
    house = house_of(ledger, RULES)
    house.sync("a")
    desk(house).pause(ANN, Scope.RULE, "r")
    house.sync("b", at=60)
    assert sorted(texts(house.work())) == ["other a", "other b"]
    assert desk(house).resume(BOB, Scope.RULE, "r")
    assert texts(house.work()) == ["r a", "r b"]


@pytest.mark.parametrize(("scope", "name"), [(Scope.ALL, ""), (Scope.HANDLER, "log.message")])
def test_all_and_a_handler_are_paused_too(ledger: Ledger, scope: Scope, name: str) -> None:
    """Planning goes on; only no attempt begins."""
    house = house_of(ledger, RULES)
    desk(house).pause(ANN, scope, name)
    house.sync("a")
    assert house.work() == []
    assert house.plans() == ["active", "active"]
    desk(house).resume(ANN, scope, name)
    assert len(house.work()) == 2


def test_what_is_running_ends_and_is_not_tried_again(ledger: Ledger) -> None:
    """Its next attempt waits for the end of the pause."""
    house = house_of(ledger, RULES)
    house.sync("a")
    running = house.claim()
    desk(house).pause(ANN, Scope.RULE, "r")
    house.end(*running, fails="answered 503", temporary=True)
    house.pass_time(HOUR / 2)
    assert texts(house.claim()) == ["other a"]


@pytest.mark.parametrize(("scope", "name"), SCOPES)
def test_a_paused_backlog_keeps_nobody_busy(ledger: Ledger, scope: Scope, name: str) -> None:
    """Nothing is ready, nothing becomes due, and no run counts as one that has waited."""
    house = house_of(ledger, RULES.partition("- name: other")[0])
    house.sync("a", "b")
    house.end(house.claim(1)[0], fails="answered 503", temporary=True)
    desk(house).pause(ANN, scope, name)
    house.pass_time(HOUR)
    house.claim()
    with house.ledger.read() as connection:
        todo = find_pending_work(connection, house.ledger.now(connection))
    assert (todo.ready, todo.next_due) == (False, None)
    shown = gauges(house)
    assert shown["oldest_due_seconds",] == 0
    assert shown["pauses", scope.value] == 1
    desk(house).resume(ANN, scope, name)
    shown = gauges(house)
    assert shown["oldest_due_seconds",] < 1
    assert shown["pauses", scope.value] == 0
    assert len(house.work()) == 2


@pytest.mark.parametrize(("scope", "name"), SCOPES)
def test_resuming_gives_the_time_back(ledger: Ledger, scope: Scope, name: str) -> None:
    """Ten minutes of trying stay ten minutes, however long the pause was."""
    house = house_of(ledger, RULES.partition("- name: other")[0])
    house.sync("a")
    house.end(*house.claim(), fails="answered 503", temporary=True)
    house.pass_time(600)
    desk(house).pause(ANN, scope, name)
    house.pass_time(24 * HOUR)
    desk(house).resume(ANN, scope, name)
    assert first_attempts(house) == pytest.approx([600], abs=30)
    house.end(*house.claim(), fails="answered 503", temporary=True)
    assert house.runs() == ["due"]


def test_overlapping_pauses_give_no_moment_back_twice(ledger: Ledger) -> None:
    """Nor is what one of them still covers let go when another is lifted."""
    house = house_of(ledger, RULES)
    house.sync("a")
    house.end(*house.claim(), fails="answered 503", temporary=True)
    pauses = [(Scope.RULE, "r"), (Scope.ALL, ""), (Scope.HANDLER, "log.message")]
    for scope, name in pauses:
        desk(house).pause(ANN, scope, name)
        house.pass_time(HOUR)
    for scope, name in pauses:
        assert house.claim() == []
        desk(house).resume(ANN, scope, name)
        house.pass_time(HOUR)
    # Of `r`: 5 h since it was first tried, all of them but the last in some pause; of `other`,
    # which was not paused in the first hour, one more.
    assert first_attempts(house) == pytest.approx([HOUR, 2 * HOUR], abs=30)
    assert len(house.claim()) == 2


def test_a_pause_of_all_outlasts_that_of_a_rule(ledger: Ledger) -> None:
    """The other way round: what the rule's pause leaves, the end of the other gives back."""
    house = house_of(ledger, RULES)
    house.sync("a")
    house.end(*house.claim(), fails="answered 503", temporary=True)
    desk(house).pause(ANN, Scope.ALL)
    house.pass_time(HOUR)
    desk(house).pause(ANN, Scope.RULE, "r")
    house.pass_time(HOUR)
    desk(house).resume(ANN, Scope.RULE, "r")
    house.pass_time(HOUR)
    desk(house).resume(ANN, Scope.ALL)
    assert first_attempts(house) == pytest.approx([0, 0], abs=30)


def test_a_pause_is_set_once_and_stays_over_a_restart(file_ledger: SqliteLedger) -> None:
    """The second operator finds that of the first; the file_ledger keeps it."""
    house = house_of(file_ledger, RULES)
    assert desk(house).pause(ANN, Scope.RULE, "r")
    assert not desk(house).pause(BOB, Scope.RULE, "r")
    opened = open_ledger(file_ledger.path)
    (pause,) = Reader(opened).pauses()
    opened.close()
    assert (pause["scope"], pause["name"], pause["by"], pause["reason"]) == (
        "rule", "r", "ann", "mended",
    )  # fmt: skip
    assert len(house.events("pause.set")) == 1


def test_the_trail_tells_who_paused_what_and_for_how_long(ledger: Ledger) -> None:
    """And how many open runs that held back."""
    house = house_of(ledger, RULES)
    house.sync("a", "b")
    desk(house).pause(ANN, Scope.RULE, "r")
    house.pass_time(60)
    desk(house).resume(BOB, Scope.RULE, "r")
    pause, lifted = house.events("pause.*")
    assert (pause["scope"], pause["name"], pause["by"], pause["runs"]) == ("rule", "r", "ann", 2)
    assert (lifted["by"], round(lifted["seconds"])) == ("bob", 60)


def test_what_is_not_paused_is_not_resumed(ledger: Ledger) -> None:
    """And nothing is told."""
    house = house_of(ledger, RULES)
    assert not desk(house).resume(ANN, Scope.ALL)
    assert house.events("pause.*") == []


def test_a_retry_and_an_approval_do_not_go_round_a_pause(ledger: Ledger) -> None:
    """Whoever makes a run due looks whether it is paused."""
    rules = RULES.replace("[{uses: log.message, with", "[{suspend: true, uses: log.message, with")
    house = house_of(ledger, rules)
    house.sync("a")
    house.end(*house.claim(), fails="refused")
    desk(house).pause(ANN, Scope.HANDLER, "log.message")
    desk(house).approve_run(ANN, house.query("SELECT id FROM runs WHERE state = 'held'")[0])
    desk(house).retry(ANN, house.query("SELECT id FROM runs WHERE state = 'failed'")[0])
    assert house.claim() == []
    desk(house).resume(ANN, Scope.HANDLER, "log.message")
    assert len(house.claim()) == 2


def test_pausing_reads_the_open_runs_alone(file_ledger: SqliteLedger) -> None:
    """Its cost does not grow with the history."""
    with file_ledger.read() as connection:
        for statement in (_PAUSE[Scope.RULE], _RESUME[Scope.HANDLER]):
            sql = str(statement.compile(connection))
            plan = connection.exec_driver_sql(
                f"EXPLAIN QUERY PLAN {sql}", tuple(0 for _ in range(sql.count("?")))
            ).all()
            assert any("runs USING INDEX runs_by_flow" in row[-1] for row in plan), plan
        ready = f"EXPLAIN QUERY PLAN SELECT MIN(virtual_time) FROM runs WHERE {tables.READY_RUN}"
        assert "INDEX runs_ready" in connection.execute(text(ready)).all()[0][-1]
