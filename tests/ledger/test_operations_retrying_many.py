"""An operator repeats whatever failed, chosen by filters."""

from __future__ import annotations

import pytest
from desks import ANN, TWO, desk, failed, house_of
from house import texts
from sqlalchemy import event

from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.engine.sqlite import SqliteLedger
from receiver.ledger.operations.retry import Chosen


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


def test_choosing_many_reads_the_failed_runs_alone(file_ledger: SqliteLedger) -> None:
    """Its cost does not grow with the history."""
    seen: list[str] = []
    house = house_of(file_ledger, TWO)
    event.listen(
        file_ledger.engine, "before_cursor_execute", lambda *all_of: seen.append(all_of[2])
    )
    desk(house).retry_many(ANN, Chosen(rule="r", handler="h", application="shop", since=0), 10)
    statement = next(one for one in seen if "'failed'" in one)
    with file_ledger.read() as connection:
        values = tuple(0 for _ in range(statement.count("?")))
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all()
    assert "runs USING INDEX runs_failed" in plan[0][-1]
