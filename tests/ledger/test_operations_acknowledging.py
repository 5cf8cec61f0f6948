"""An operator lets a failed run be: nobody will retry it."""

from __future__ import annotations

import pytest
from desks import ANN, TWO, desk, failed, house_of, run_of

from receiver.core.errors import StateConflict, UnknownId
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.operations.retry import Chosen
from receiver.ledger.queries.reader import Reader


def gauge(ledger: Ledger, name: str) -> float:
    """A metric over the ledger."""
    (value,) = (value for metric, _, value in Reader(ledger).counters() if metric == name)
    return value


def test_it_counts_no_longer_as_failed(ledger: Ledger) -> None:
    """In the status, in metrics, and for who retries all that failed; the trail says who."""
    house = house_of(ledger, TWO)
    failed(house, "a")
    assert gauge(ledger, "dead_letters") == 1
    shown = desk(house).acknowledge_run(ANN, run_of(house, "one"))
    assert (shown["state"], shown["reason"]) == ("acknowledged", "answered 404")
    assert gauge(ledger, "dead_letters") == 0
    assert Reader(ledger).overview()[0]["handlers"] == []
    assert desk(house).retry_many(ANN, Chosen(), 10).runs == ()
    (event,) = house.events("run.acknowledged")
    assert (event["by"], event["reason"], event["was"]) == ("ann", "mended", "answered 404")


def test_for_its_plan_it_stays_a_failure(ledger: Ledger) -> None:
    """Also where the plan has not ended yet: the next wave does not begin."""
    house = house_of(ledger, TWO)
    house.sync("a", "b")
    first, second = house.claim()
    house.end(first, fails="answered 404")
    desk(house).acknowledge_run(ANN, first.id)
    house.end(second)
    house.work()
    assert house.plans() == ["failed"]
    assert sorted(house.runs("action, state")) == [
        ("on_failure_log_message", "succeeded"), ("one", "acknowledged"), ("one", "succeeded"),
        ("two", "skipped"),
    ]  # fmt: skip


def test_it_can_still_be_retried_by_its_id(ledger: Ledger) -> None:
    """Who changes his mind loses nothing."""
    house = house_of(ledger, TWO)
    failed(house, "a")
    run = run_of(house, "one")
    desk(house).acknowledge_run(ANN, run)
    desk(house).retry(ANN, run)
    house.work()
    assert house.plans() == ["succeeded"]


def test_only_what_failed_is_acknowledged(ledger: Ledger) -> None:
    """Not what is open, nor what was acknowledged before."""
    house = house_of(ledger, TWO)
    house.sync("a")
    run = run_of(house, "one")
    with pytest.raises(StateConflict, match="is due; only one that failed"):
        desk(house).acknowledge_run(ANN, run)
    house.end(*house.claim(), fails="answered 404")
    desk(house).acknowledge_run(ANN, run)
    with pytest.raises(StateConflict, match="is acknowledged"):
        desk(house).acknowledge_run(ANN, run)
    with pytest.raises(UnknownId):
        desk(house).acknowledge_run(ANN, "r-nothing")
