"""`suspend: {expires: 24h}`: what nobody approves in time is told before, and cancelled then."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from desks import ANN, desk, only
from house import House, texts
from sqlalchemy import event, insert, select, text

from receiver.core.model import Held, from_ms, rfc3339
from receiver.core.states import RunState
from receiver.ledger import tables
from receiver.ledger.engine.ledger import Ledger, LockMode
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.inbox.own_notifications import OwnNotifications
from receiver.ledger.operations.expire import expire_held
from receiver.ledger.queries.reader import Reader
from receiver.ledger.queue.clock_shift import shift_times
from receiver.ledger.queue.pauses import Scope

HOUR = 3600
DAY = 24 * HOUR
RULES = """
- name: promote
  match: {resources: [{kind: ConfigMap}]}
  actions:
  - {uses: log.message, suspend: {expires: 24h}, with: {text: "${{ resource.name }}"}}
  - {uses: log.message, wave: 1, target: batch, with: {text: after}}
  finally:
  - {uses: log.message, with: {text: finally}}
  onFailure:
  - {uses: log.message, with: {text: "${{ failure.message }}"}}
- name: tell
  match: {channel: [postsync]}
  actions:
  - uses: log.message
    target: application
    if: sync.held.expiring
    with: {text: "${{ sync.held.rule }} expires at ${{ sync.held.expires }}"}
"""
WHY = "cancelled by Postsync itself: nobody approved it within 1d"


def house_of(ledger: Ledger, rules: str = RULES) -> House:
    house = House.of(ledger, rules)
    house.tells = OwnNotifications(None, reaches=True)
    return house


def held_of(house: House) -> list[Held]:
    """What is told of on our own channel."""
    return [one.held for one in house.told()]


def states(house: House) -> list[Any]:
    """The states of the runs of the rule that holds, as its actions stand there."""
    return house.query(
        "SELECT state FROM runs WHERE rule = 'promote' ORDER BY section, step, target_index"
    )


def test_what_nobody_has_approved_in_time_is_cancelled(ledger: Ledger) -> None:
    """As by `postsync cancel`: a failure of its wave, with all that follows from that."""
    house = house_of(ledger)
    house.sync("a", "b")
    house.pass_time(DAY - 1)
    assert (house.work(), states(house)[:2]) == ([], ["held", "held"])
    house.pass_time(2)
    assert texts(house.work()) == ["finally", WHY]
    assert states(house) == ["cancelled", "cancelled", "skipped", "succeeded", "succeeded"]
    assert house.query("SELECT DISTINCT reason FROM runs WHERE state = 'cancelled'") == [WHY]
    assert [(line["by"], line["was"]) for line in house.events("run.cancelled")] == [
        ("Postsync itself", "held")
    ] * 2
    assert house.plans("state")[0] == "failed"


def test_it_is_told_once_an_hour_before(ledger: Ledger) -> None:
    """All runs of the wave together; the first message has the time too."""
    house = house_of(ledger)
    sync = house.sync("a", "b")
    (plan,) = house.plans("id")
    (ends,) = house.query("SELECT DISTINCT expires_at FROM runs WHERE state = 'held'")
    (since,) = house.query("SELECT DISTINCT held_at FROM runs WHERE state = 'held'")
    assert ends - since == DAY * 1000
    house.pass_time(DAY - HOUR - 10)
    house.work()
    (first,) = held_of(house)
    house.pass_time(11)
    for _ in range(3):
        house.work()
        house.plan([])
    first, warning = held_of(house)
    assert (first.expires, first.expiring) == (rfc3339(from_ms(ends)), False)
    assert (warning.expires, warning.expiring) == (first.expires, True)
    assert (warning.sync, warning.plan, warning.rule) == (sync, plan, "promote")
    assert (warning.since, warning.count) == (first.since, 2)
    assert warning.reason == first.reason == "waits to be approved within 1d"
    assert texts(house.work()) == []
    lines = house.events("run.expiring")
    assert [line["expires"] for line in lines] == [first.expires] * 2
    own = house.query("SELECT id FROM syncs WHERE channel = 'postsync' ORDER BY id")
    assert {line["notifiedAs"] for line in lines} == {own[1]}


def test_a_rule_tells_both_kinds_apart(ledger: Ledger) -> None:
    """By `sync.held.expiring`, in a condition."""
    house = house_of(ledger)
    house.sync("a")
    house.plan([])
    assert texts(house.work()) == []
    house.pass_time(DAY - HOUR + 1)
    house.turn()
    house.plan([])
    ends = held_of(house)[0].expires
    assert texts(house.work()) == [f"promote expires at {ends}"]


@pytest.mark.parametrize(("expires", "lead"), [("8s", 2), ("4h", HOUR), ("30d", HOUR)])
def test_a_quarter_of_the_time_is_left_then_an_hour_at_most(
    ledger: Ledger, expires: str, lead: int
) -> None:
    """Who may wait for eight seconds cannot be warned an hour before."""
    house = house_of(ledger, RULES.replace("24h", expires))
    house.sync("a")
    assert house.query(
        "SELECT expires_at - expiry_due_at FROM runs WHERE state = 'held'"
    ) == [lead * 1000]  # fmt: skip


@pytest.mark.parametrize("way", ["approve", "cancel"])
def test_what_was_decided_in_time_is_not_told_again(ledger: Ledger, way: str) -> None:
    """Neither does it expire."""
    house = house_of(ledger)
    house.sync("a")
    (plan,) = house.plans("id")
    house.pass_time(DAY - HOUR - 10)
    acts = desk(house)
    _ = acts.approve_plan(ANN, plan) if way == "approve" else acts.cancel_plan(ANN, plan)
    house.work()
    house.pass_time(2 * DAY)
    house.work()
    assert len(held_of(house)) == 1
    assert house.events("run.expiring") == []
    assert states(house)[0] == ("succeeded" if way == "approve" else "cancelled")
    assert {line["by"] for line in house.events("run.cancelled")} <= {"ann"}


def test_what_is_left_of_a_wave_expires_alone(ledger: Ledger) -> None:
    """What was approved of it has been done."""
    house = house_of(ledger)
    house.sync("a", "b")
    desk(house).approve_run(ANN, house.runs("id")[0])
    assert texts(house.work()) == ["a"]
    house.pass_time(DAY - HOUR + 1)
    house.turn()
    assert [(one.count, one.targets) for one in held_of(house)[1:]] == [(1, ("ConfigMap/shop/b",))]
    house.pass_time(HOUR)
    house.work()
    assert states(house)[:2] == ["succeeded", "cancelled"]


def test_it_is_retried_as_what_an_operator_has_cancelled(ledger: Ledger) -> None:
    """The retry is its approval: it is made at once, and what it had skipped follows."""
    house = house_of(ledger)
    house.sync("a")
    house.pass_time(DAY + 1)
    house.work()
    (cancelled,) = house.query("SELECT id FROM runs WHERE state = 'cancelled'")
    house.retry(cancelled)
    assert texts(house.work()) == ["a", "after"]
    assert house.plans("state")[0] == "succeeded"
    house.pass_time(2 * DAY)
    assert (house.work(), len(house.events("run.cancelled"))) == ([], 1)


def test_without_a_time_it_waits_as_ever(ledger: Ledger) -> None:
    """`suspend: true` has no end, and its message has none."""
    house = house_of(ledger, RULES.replace("{expires: 24h}", "true"))
    house.sync("a")
    house.pass_time(365 * DAY)
    assert (house.work(), states(house)[0]) == ([], "held")
    (told,) = held_of(house)
    assert (told.expires, told.expiring, told.reason) == (None, False, "waits to be approved")
    assert "within" not in only(house.events("run.held"))


def test_nobody_who_was_away_is_told_what_is_over(ledger: Ledger) -> None:
    """After a stop of two days what has expired is cancelled at once."""
    house = house_of(ledger)
    house.sync("a")
    house.pass_time(2 * DAY)
    house.work()
    assert (states(house)[0], len(held_of(house))) == ("cancelled", 1)


def test_of_two_actions_each_has_its_own_time(ledger: Ledger) -> None:
    """The message names the first of them."""
    rules = RULES.replace("wave: 1, target: batch", "suspend: {expires: 2h}, target: batch")
    house = house_of(ledger, rules)
    house.sync("a")
    (first,) = held_of(house)
    (soonest,) = house.query("SELECT MIN(expires_at) FROM runs WHERE state = 'held'")
    assert (first.count, first.expires) == (2, rfc3339(from_ms(soonest)))
    house.pass_time(2 * HOUR + 1)
    assert house.work() == []
    assert states(house)[:2] == ["held", "cancelled"]
    house.pass_time(DAY)
    house.work()
    assert states(house)[:2] == ["cancelled", "cancelled"]


def test_a_pause_does_not_stop_its_clock(ledger: Ledger) -> None:
    """A pause holds attempts back, and this is none."""
    house = house_of(ledger)
    house.sync("a")
    desk(house).pause(ANN, Scope.RULE, "promote")
    house.pass_time(DAY + 1)
    house.work()
    assert states(house)[0] == "cancelled"


@pytest.mark.parametrize("seconds", [-DAY, DAY])
def test_a_clock_that_was_set_changes_nothing(ledger: Ledger, seconds: int) -> None:
    """As much time is left as before."""
    house = house_of(ledger)
    house.sync("a")
    house.pass_time(seconds)
    with house.ledger.write() as connection:
        uow = UnitOfWork(connection, house.ledger.now(connection))
        shift_times(uow, seconds * 1000)
        uow.finish()
    house.pass_time(DAY - HOUR - 10)
    house.turn()
    assert house.events("run.expiring") == []
    house.pass_time(20)
    house.turn()
    assert len(house.events("run.expiring")) == 1
    house.pass_time(HOUR)
    house.work()
    assert house.events("run.cancelled")[0]["reason"] == "nobody approved it within 1d"


@pytest.mark.parametrize("left", [1, -1])
def test_of_two_workers_one_does_it(ledger: Ledger, left: int) -> None:
    """Whether it is to be told or to be done: whoever comes second finds nothing."""
    house = house_of(ledger)
    house.sync("a", "b")
    house.pass_time(DAY - left)
    gate = Barrier(2)

    def work(_: int) -> int:
        gate.wait()
        with house.ledger.write(LockMode.EXCLUSIVE) as connection:
            uow = UnitOfWork(connection, house.ledger.now(connection))
            expire_held(uow)
            OwnNotifications(None, reaches=True).tell_held(uow)
            uow.finish()
            return len(uow.events)

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(work, range(2))) == [0, 3 if left > 0 else 2]
    assert len(held_of(house)) == (2 if left > 0 else 1)


def test_a_transaction_that_is_not_committed_has_warned_nobody(ledger: Ledger) -> None:
    """The mark and the message are stored together or not at all."""
    house = house_of(ledger)
    house.sync("a")
    house.pass_time(DAY - 1)

    class Breaks(OwnNotifications):
        def tell_held(self, uow: Any) -> None:
            super().tell_held(uow)
            raise BrokenPipeError

    whole, house.tells = house.tells, Breaks(None, reaches=True)
    with pytest.raises(BrokenPipeError):
        house.turn()
    house.tells = whole
    house.turn()
    assert [one.expiring for one in held_of(house)] == [False, True]


def test_it_says_until_when(ledger: Ledger) -> None:
    """Wherever what a run waits for is shown."""
    house = house_of(ledger)
    house.sync("a")
    (held,) = (run for run in Reader(house.ledger).runs(limit=9) if run["state"] == RunState.HELD)
    ends = rfc3339(from_ms(only(house.query("SELECT MAX(expires_at) FROM runs"))))
    assert held["waitsFor"].startswith("an approval, held since ")
    assert held["waitsFor"].endswith(f", until {ends}")


def test_a_turn_finds_what_expires_by_an_index(ledger: Ledger) -> None:
    """However much is held without end: it is asked every turn."""
    house = house_of(ledger)
    house.sync("a")
    with ledger.write() as connection:
        held = connection.execute(select(tables.runs).where(text(tables.HELD_RUN))).one()
        without_end = dict(held._mapping) | {"expires_at": None, "expiry_due_at": None}
        rows = [without_end | {"id": f"r-{n}", "plan_id": f"p-{n}"} for n in range(2000)]
        connection.execute(insert(tables.runs), rows)
        connection.execute(text("ANALYZE"))
    house.pass_time(DAY - 1)
    engine = house.ledger.engine
    asked = [(f"SELECT MIN(expiry_due_at) FROM runs WHERE {tables.EXPIRING_RUN}", ())]
    event.listen(engine, "before_cursor_execute", lambda *said: asked.append(said[2:4]))
    house.turn()
    explain = "EXPLAIN" if engine.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
    with house.ledger.read() as connection:
        # Each once: on a busy machine a turn may ask twice.
        pending, due, of_plan = (
            str(connection.exec_driver_sql(f"{explain} {statement}", values).all())
            for statement, values in dict(asked).items()
            if statement.startswith("SELECT") and "expiry_due_at" in statement
        )
    assert "runs_expiring" in pending
    assert "runs_expiring" in due
    assert re.search("runs_expiring|runs_of_plan", of_plan)


def test_of_very_many_a_turn_takes_some(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole plans, so that what is told together stays so; the next turns take the rest."""
    monkeypatch.setattr("receiver.ledger.operations.expire.RUNS", 3)
    house = house_of(ledger)
    house.plan([house.store("a", "b", application=f"app-{n}", at=n) for n in range(5)])
    house.pass_time(DAY - 1)
    with house.ledger.write() as connection:
        uow = UnitOfWork(connection, house.ledger.now(connection))
        expire_held(uow)
        assert [line.name for line in uow.events] == ["run.expiring"] * 4
        uow.finish()
    house.turn()
    assert len(house.events("run.expiring")) == 10
