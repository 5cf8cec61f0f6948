"""Runs on which the other side works: what is told of them, and what counts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from house import House
from stories import run_of

from receiver.core.model import Json, Outcome, OutcomeKind
from receiver.dispatcher.turn import Turn
from receiver.dispatcher.worker_pool import Finished
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.queries.reader import Reader
from receiver.ledger.queries.rows import RunStory
from receiver.ledger.queue.pending_work import find_pending_work

RULES = """\
- name: it
  match: {resources: [{kind: ConfigMap}]}
  deadline: 40s
  actions:
  - uses: log.message
    with: {text: x}
"""
STATE: Json = {"name": "j"}


def pending(why: str = "") -> Outcome:
    return Outcome(OutcomeKind.PENDING, why, state=STATE, delay=5)


@pytest.fixture
def house(ledger: Ledger) -> House:
    made = House.of(ledger, RULES)
    made.sync("c")
    return made


def ask(house: House, outcome: Outcome) -> None:
    """Ask again, when its time has come."""
    house.pass_time(6)
    (run,) = house.claim()
    house.answer(outcome, run)


def test_why_it_waits_is_its_reason(house: House) -> None:
    """As long as it is so."""
    house.answer(pending("no quota"), *house.claim())
    assert house.query("SELECT state, reason FROM runs") == [("pending", "no quota")]
    ask(house, pending())
    assert house.query("SELECT state, reason FROM runs") == [("pending", "")]


def test_why_it_waited_is_in_the_reason_when_its_deadline_passes(house: House) -> None:
    """That it took too long says nothing of what to mend."""
    house.answer(pending("no quota"), *house.claim())
    house.pass_time(41)
    house.answer(pending("no quota"), *house.claim())
    assert house.query("SELECT state, reason FROM runs") == [
        ("failed", "still pending after its deadline of 40 s: no quota")
    ]


def story(house: House) -> RunStory:
    (run,) = house.query("SELECT id FROM runs")
    told = run_of(Reader(house.ledger), run)
    assert told is not None
    return told


def test_to_ask_again_is_no_attempt(house: House) -> None:
    """One start, however often it is asked whether that is done."""
    house.answer(pending(), *house.claim())
    for _ in range(3):
        ask(house, pending())
    (attempt,) = story(house)["tries"]
    assert (attempt["number"], attempt["pending"], attempt["endedAt"]) == (1, 4, None)
    ask(house, Outcome(OutcomeKind.SUCCEEDED))
    told = story(house)
    assert told["attempts"] == 1
    assert [one["outcome"] for one in told["tries"]] == ["succeeded"]


def test_the_trail_tells_once_that_it_is_pending(house: House) -> None:
    """And again when there is something new to say."""
    house.answer(pending(), *house.claim())
    for why in ("", "", "no quota", "no quota", ""):
        ask(house, pending(why))
    told = [(line["event"], line.get("reason")) for line in house.events("attempt.*")]
    assert told == [
        ("attempt.started", None), ("attempt.pending", ""), ("attempt.pending", "no quota"),
        ("attempt.pending", ""),
    ]  # fmt: skip


def test_what_cannot_be_asked_has_not_failed(house: House) -> None:
    """What was started goes on: the attempt is the same one, and why is told."""
    house.answer(pending(), *house.claim())
    ask(house, Outcome(OutcomeKind.TEMPORARY, "nobody there", state=STATE))
    told = story(house)
    assert (told["state"], told["reason"], told["attempts"]) == ("pending", "nobody there", 1)
    assert [one["outcome"] for one in told["tries"]] == ["pending"]
    assert house.events("attempt.failed") == []


def test_who_is_lost_while_asking_is_followed_by_who_asks(house: House) -> None:
    """Nothing is started a second time, and no attempt is counted."""
    house.answer(pending(), *house.claim())
    house.pass_time(6)
    (lost,) = house.claim()
    house.pass_time(31)
    house.beat("w-2")
    (again,) = house.claim(owner="w-2")
    assert (again.pending, again.state, again.attempt) == (True, STATE, 1)
    house.answer(Outcome(OutcomeKind.SUCCEEDED), lost)
    assert house.query("SELECT state FROM runs") == ["running"]
    house.answer(Outcome(OutcomeKind.SUCCEEDED), again, owner="w-2")
    assert house.query("SELECT state, attempts FROM runs") == [("succeeded", 1)]
    assert house.events("attempt.lost") == []
    assert house.events("attempt.pending")[-1]["reason"].endswith("fell silent while it asked")


def test_who_waits_for_what_has_ended_is_asked_at_once(house: House) -> None:
    """As long as it is pending: another retry waits its time, and who is asked is asked already."""
    house.answer(pending(), *house.claim())
    assert house.claim() == []
    (run,) = house.hurry()
    assert run.pending
    assert house.hurry() == []
    house.answer(Outcome(OutcomeKind.SUCCEEDED), run)
    assert house.hurry() == []
    house.sync("d")
    house.answer(Outcome(OutcomeKind.TEMPORARY, "nobody there", delay=60), *house.claim())
    assert house.hurry() == []


def test_a_retry_is_an_attempt(house: House) -> None:
    """It starts anew what came to a bad end."""
    house.answer(pending(), *house.claim())
    ask(house, Outcome(OutcomeKind.PERMANENT, "exit code 1"))
    house.retry(house.query("SELECT id FROM runs")[0])
    (again,) = house.claim()
    assert (again.attempt, again.pending, again.state) == (2, False, None)


def test_metrics_count_attempts_and_askings_apart(house: House) -> None:
    """An attempt counts when it has ended."""
    house.answer(pending(), *house.claim())
    ask(house, pending())
    ask(house, Outcome(OutcomeKind.SUCCEEDED))
    rows = house.query("SELECT name, labels, value FROM counters WHERE name LIKE '%ed_total'")
    asked = {labels: value for name, labels, value in rows if name == "asked_total"}
    assert sum(asked.values()) == 2
    started = house.query("SELECT SUM(value) FROM counters WHERE name = 'attempts_total'")
    assert started == [1]


def test_what_ended_while_it_was_asked_is_asked_again_at_once(house: House) -> None:
    """The turn that stores that it is pending is the one that is told by the watch."""
    (run,) = house.claim()
    with house.ledger.write() as connection:
        uow = UnitOfWork(connection, house.ledger.now(connection))
        work = find_pending_work(connection, uow.now)
        ended = [Finished(run, replace(pending(), delay=1200))]
        Turn(
            claims=True,
            pending_work=work,
            finished=ended,
            returned=[],
            reload=None,
            clock_jumped=False,
            woken={run.id},
        ).store(uow, "w-1")
        uow.finish()
    (again,) = house.claim()
    assert (again.id, again.state) == (run.id, STATE)
