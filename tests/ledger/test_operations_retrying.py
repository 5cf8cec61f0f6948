"""An operator repeats what failed."""

from __future__ import annotations

from typing import Any

import pytest
from desks import ANN, TWO, desk, failed, house_of, only, run_of
from house import texts
from sqlalchemy import text

from receiver.core.errors import StateConflict, UnknownId
from receiver.core.model import Outcome, OutcomeKind
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.operations.retry import Chosen

KEYED = TWO.replace("  actions:", "  concurrency: {key: one-at-a-time, limit: 1}\n  actions:")


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
    retried, reopened = house.events("run.re%ed")
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
    ("ends", "hint"),
    [("due", "/hurry tries it"), ("succeeded", "replay"), ("skipped", "that failed")],
)
def test_only_what_failed_or_was_cancelled_is_retried(ledger: Ledger, ends: str, hint: str) -> None:
    """Anything else is told its state and what would help."""
    house = house_of(ledger, TWO)
    house.sync("a")
    with ledger.write() as connection:
        connection.execute(text("UPDATE runs SET state = :ends"), {"ends": ends})
    with pytest.raises(StateConflict, match=f"is {ends}") as raised:
        desk(house).retry(ANN, run_of(house, "one"))
    assert (raised.value.state, hint in raised.value.hint) == (ends, True)


def test_the_second_of_two_retries_is_told_what_the_first_has_done(ledger: Ledger) -> None:
    """As is a retry whose answer was lost and that is sent again."""
    house = house_of(ledger, TWO)
    failed(house, "a")
    desk(house).retry(ANN, run_of(house, "one"))
    with pytest.raises(StateConflict, match="is due"):
        desk(house).retry(ANN, run_of(house, "one"))
    assert len(house.events("run.retried")) == 1


def test_what_was_never_rendered_needs_a_replay(ledger: Ledger) -> None:
    """It has no parameters that could be repeated."""
    house = house_of(ledger, TWO.replace("resource.name", "resource.images[0]"))
    house.sync("a")
    house.work()
    assert house.runs("state")[0] == "failed"
    with pytest.raises(StateConflict, match="not rendered") as raised:
        desk(house).retry(ANN, run_of(house, "one"))
    assert "replay" in raised.value.hint
    assert desk(house).retry_many(ANN, Chosen(), 10).runs == ()


def test_an_unknown_run_is_told(ledger: Ledger) -> None:
    """By its id."""
    with pytest.raises(UnknownId, match="there is no run r-nothing"):
        desk(house_of(ledger, TWO)).retry(ANN, "r-nothing")


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
