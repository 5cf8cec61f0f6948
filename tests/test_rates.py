"""Token buckets: no more attempts begin than a service takes."""

from __future__ import annotations

from receiver.contract import Rate
from receiver.ledger.queue.rate_limits import Buckets

LANE = "api.example.com KEY"


def buckets() -> Buckets:
    return Buckets({"example.purge": Rate(per_second=2, burst=3)})


def test_a_burst_is_let_through_and_then_the_rate() -> None:
    """Three at once, then one each half second."""
    rates = buckets()
    assert rates.room(LANE, "example.purge", 10, 0) == 3
    for _ in range(3):
        rates.spend(LANE, "example.purge", 0)
    assert rates.room(LANE, "example.purge", 10, 0) == 0
    assert 500 <= rates.again_at(LANE, "example.purge", 0) <= 502
    assert rates.room(LANE, "example.purge", 10, 499) == 0
    assert rates.room(LANE, "example.purge", 10, 1001) == 2
    assert rates.room(LANE, "example.purge", 10, 60_000) == 3


def test_each_credential_has_a_bucket_of_its_own_and_a_handler_without_a_rate_none() -> None:
    """One team's purges use up nobody else's limit."""
    rates = buckets()
    for _ in range(3):
        rates.spend(LANE, "example.purge", 0)
    assert rates.room("api.example.com OTHER", "example.purge", 5, 0) == 3
    assert rates.room(LANE, "http.request", 5, 0) == 5
    assert rates.again_at(LANE, "http.request", 7) == 7


def test_a_clock_that_jumps_back_gives_nothing_away() -> None:
    """It costs the time of the jump at most."""
    rates = buckets()
    for _ in range(3):
        rates.spend(LANE, "example.purge", 10_000)
    assert rates.room(LANE, "example.purge", 5, 5_000) == 0
    assert rates.room(LANE, "example.purge", 5, 6_000) == 2
