"""An operator repeats what failed."""

from __future__ import annotations

from typing import Any

import pytest
from desks import ANN, desk, house_of, only, run_of
from house import House, texts
from sqlalchemy import event, text

from receiver.errors import UnknownThing, WrongState
from receiver.ledger.connect import Ledger
from receiver.ledger.operations.retrying import Chosen
from receiver.model import Outcome, OutcomeKind

TWO = """
- name: r
  match: {resources: [{kind: ConfigMap}]}
  actions:
  - {name: one, uses: log.message, with: {text: "1 ${{ resource.name }}"}}
  - {name: two, uses: log.message, wave: 1, target: application, with: {text: "2"}}
  onFailure:
  - {uses: log.message, with: {text: "failed"}}
"""
KEYED = TWO.replace("  actions:", "  concurrency: {key: one-at-a-time, limit: 1}\n  actions:")


def failed(house: House, *names: str, **options: Any) -> str:
    """A sync of which the first action fails for good, and its onFailure has told so."""
    sync = house.sync(*names, **options)
    house.end(*house.claim(), fails="answered 404")
    house.work()
    assert set(house.plans()) == {"failed"}
    return sync


def test_a_retried_run_repeats_its_parameters_and_opens_what_it_had_skipped(ledger: Ledger) -> None:
    """With a new key, without the failures of before; the plan succeeds."""
    house = house_of(ledger, TWO)
    failed(house, "a")
    run = run_of(house, "one")
    shown = desk(house).retry(ANN, run)
    assert (shown["state"], shown["attempts"]) == ("due", 1)
    assert house.plans() == ["active"]
    (claimed,) = house.claim()
    assert (claimed.id, claimed.key_number, claimed.failures, claimed.attempt) == (run, 2, 0, 2)
    assert texts([claimed]) == ["1 a"]
    house.end(claimed)
    assert texts(house.work()) == ["2"]
    assert house.plans() == ["succeeded"]


def test_the_trail_tells_who_retried_and_what_that_opened(ledger: Ledger) -> None:
    """In the transaction of the retry."""
    house = house_of(ledger, TWO)
    failed(house, "a")
    desk(house).retry(ANN, run_of(house, "one"))
    retried, reopened = house.events("run.re[to]*")
    assert (retried["event"], retried["by"], retried["reason"]) == ("run.retried", "ann", "mended")
    assert (reopened["event"], reopened["action"], reopened["was"]) == (
        "run.reopened", "two", "wave 0 failed",
    )  # fmt: skip


def test_on_failure_is_not_told_again(ledger: Ledger) -> None:
    """However often the retry fails."""
    house = house_of(ledger, TWO)
    failed(house, "a")
    desk(house).retry(ANN, run_of(house, "one"))
    house.end(*house.claim(), fails="answered 404")
    assert house.work() == []
    assert house.plans() == ["failed"]


def test_the_deadline_begins_anew(ledger: Ledger) -> None:
    """A retry a day later has as much time as the first try had."""
    house = house_of(ledger, TWO)
    failed(house, "a")
    house.pass_time(86_400)
    desk(house).retry(ANN, run_of(house, "one"))
    house.end(*house.claim(), fails="answered 503", temporary=True)
    assert house.runs("state, failures")[0] == ("due", 1)


@pytest.mark.parametrize(
    ("outcome", "kept"),
    [
        (Outcome(OutcomeKind.TEMPORARY, "busy", state={"batchesDone": 3}), {"batchesDone": 3}),
        (Outcome(OutcomeKind.PENDING, state={"job": "j-1"}, delay=0), None),
    ],
)
def test_what_is_done_is_kept_and_what_came_to_a_bad_end_is_not(
    ledger: Ledger, outcome: Outcome, kept: Any
) -> None:
    """Of five batches the retry sends the last two; a Job that failed is started anew."""
    house = house_of(ledger, TWO)
    house.sync("a")
    house.answer(outcome, *house.claim())
    house.pass_time(600)
    house.end(*house.claim(), fails="refused")
    house.work()
    desk(house).retry(ANN, run_of(house, "one"))
    assert only(house.claim()).state == kept


def test_the_plan_waits_for_its_place_again(ledger: Ledger) -> None:
    """While another plan has its key, the retried run is not made; then it is."""
    house = house_of(ledger, KEYED)
    failed(house, "a")
    house.sync("b", at=60)
    desk(house).retry(ANN, run_of(house, "one"))
    assert house.plans() == ["waiting", "active"]
    other = only(house.claim())
    assert texts([other]) == ["1 b"]
    assert house.claim() == []
    house.end(other)
    assert texts(house.work()) == ["2", "1 a", "2"]
    assert house.plans() == ["succeeded", "succeeded"]


@pytest.mark.parametrize(
    ("ends", "hint"), [("due", "under way"), ("succeeded", "replay"), ("skipped", "that failed")]
)
def test_only_what_failed_or_was_cancelled_is_retried(ledger: Ledger, ends: str, hint: str) -> None:
    """Anything else is told its state and what would help."""
    house = house_of(ledger, TWO)
    house.sync("a")
    with ledger.write() as connection:
        connection.execute(text("UPDATE runs SET state = :ends"), {"ends": ends})
    with pytest.raises(WrongState, match=f"is {ends}") as raised:
        desk(house).retry(ANN, run_of(house, "one"))
    assert (raised.value.state, hint in raised.value.hint) == (ends, True)


def test_the_second_of_two_retries_is_told_what_the_first_has_done(ledger: Ledger) -> None:
    """As is a retry whose answer was lost and that is sent again."""
    house = house_of(ledger, TWO)
    failed(house, "a")
    desk(house).retry(ANN, run_of(house, "one"))
    with pytest.raises(WrongState, match="is due"):
        desk(house).retry(ANN, run_of(house, "one"))
    assert len(house.events("run.retried")) == 1


def test_what_was_never_rendered_needs_a_replay(ledger: Ledger) -> None:
    """It has no parameters that could be repeated."""
    house = house_of(ledger, TWO.replace("resource.name", "resource.images[0]"))
    house.sync("a")
    house.work()
    assert house.runs("state")[0] == "failed"
    with pytest.raises(WrongState, match="not rendered") as raised:
        desk(house).retry(ANN, run_of(house, "one"))
    assert "replay" in raised.value.hint
    assert desk(house).retry_many(ANN, Chosen(), 10).runs == ()


def test_an_unknown_run_is_told(ledger: Ledger) -> None:
    """By its id."""
    with pytest.raises(UnknownThing, match="there is no run r-nothing"):
        desk(house_of(ledger, TWO)).retry(ANN, "r-nothing")


@pytest.mark.parametrize(
    ("chosen", "targets"),
    [
        (Chosen(rule="r"), ["a", "b", "c"]),
        (Chosen(rule="other"), []),
        (Chosen(handler="log.message", application="blog"), ["c"]),
        (Chosen(application="argocd/shop"), ["a", "b"]),
    ],
)
def test_many_are_chosen_by_filters(ledger: Ledger, chosen: Chosen, targets: list[str]) -> None:
    """What all filters let through, and nothing else."""
    house = house_of(ledger, TWO)
    failed(house, "a", "b")
    failed(house, "c", at=60, application="blog")
    done = desk(house).retry_many(ANN, chosen, 100)
    assert (len(done.runs), done.more) == (len(targets), False)
    retried = [event["target"].rpartition("/")[2] for event in house.events("run.retried")]
    assert sorted(retried) == targets


def test_many_are_retried_up_to_the_limit_the_oldest_failures_first(ledger: Ledger) -> None:
    """And the answer says that there are more."""
    house = house_of(ledger, TWO)
    for number in range(3):
        failed(house, f"n{number}", at=number)
        house.pass_time(60)
    done = desk(house).retry_many(ANN, Chosen(rule="r"), 2)
    assert (len(done.runs), done.more) == (2, True)
    assert texts(house.claim()) == ["1 n0", "1 n1"]


def test_failures_are_chosen_by_their_time(ledger: Ledger) -> None:
    """Since and until are moments of the failure."""
    house = house_of(ledger, TWO)
    failed(house, "early")
    house.pass_time(3600)
    failed(house, "late", at=1)
    with house.ledger.read() as connection:
        middle = house.ledger.now(connection) - 1_800_000
    desk(house).retry_many(ANN, Chosen(since=middle), 10)
    assert texts(house.claim()) == ["1 late"]
    desk(house).retry_many(ANN, Chosen(until=middle), 10)
    assert texts(house.claim()) == ["1 early"]


def test_more_than_one_transaction_retries_them_all(ledger: Ledger) -> None:
    """A slice at a time, so that the intake is not held up."""
    house = house_of(ledger, TWO.partition("  onFailure")[0])
    house.sync(*(f"n{number}" for number in range(230)))
    while runs := house.claim():
        house.end(*runs, fails="refused")
    done = desk(house).retry_many(ANN, Chosen(rule="r"), 1000)
    assert (len(done.runs), done.more) == (230, False)
    assert house.runs().count("due") == 230


def test_choosing_many_reads_the_failed_runs_alone(ledger: Ledger) -> None:
    """Its cost does not grow with the history."""
    seen: list[str] = []
    house = house_of(ledger, TWO)
    event.listen(ledger.engine, "before_cursor_execute", lambda *all_of: seen.append(all_of[2]))
    desk(house).retry_many(ANN, Chosen(rule="r", application="shop", since=0), 10)
    statement = next(one for one in seen if "'failed'" in one)
    with ledger.read() as connection:
        values = tuple(0 for _ in range(statement.count("?")))
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all()
    assert "runs USING INDEX runs_failed" in plan[0][-1]


def test_what_waits_to_be_repeated_gives_way_to_a_newer_plan(ledger: Ledger) -> None:
    """A retried run whose plan has no place yet does not stay open for ever."""
    rules = KEYED.replace("  concurrency", "  onNewer: supersede\n  concurrency")
    house = house_of(ledger, rules)
    failed(house, "a")
    house.sync("x", at=10, application="blog")
    busy = house.claim()
    desk(house).retry(ANN, run_of(house, "one"))
    house.sync("a", at=20)
    house.end(*busy)
    house.work()
    assert house.plans() == ["superseded", "succeeded", "succeeded"]
    assert house.runs().count("due") == 0
