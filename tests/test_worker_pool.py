"""The pool of threads that make attempts."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator

import pytest
from planning import claimed_run
from service import wait_for

from receiver.core.logs import configure_logs
from receiver.core.model import Outcome, OutcomeKind
from receiver.dispatcher import worker_pool
from receiver.dispatcher.worker_pool import WorkerPool
from receiver.ledger.queue.claim import ClaimedRun

QUICK, HELD = claimed_run("r-1", "quick"), claimed_run("r-2", "held")


@pytest.fixture
def release() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def pool(release: threading.Event) -> WorkerPool:
    """It makes attempts at once, but those of one lane, which end when they are released."""

    def work(run: ClaimedRun) -> Outcome:
        began = time.monotonic()
        if run.lane == "held":
            release.wait(30)
        return Outcome(OutcomeKind.SUCCEEDED, seconds=time.monotonic() - began)

    return WorkerPool(2, work, lambda: None, configure_logs("json"), lane_limit=1)


def test_it_gathers_what_ends_soon(pool: WorkerPool) -> None:
    """As soon as the last of them has ended, none is waited for."""
    pool.start(QUICK)
    pool.gather(30)
    assert [one.run.id for one in pool.take_finished()] == ["r-1"]


def test_it_waits_no_longer_for_one_that_does_not_end(pool: WorkerPool) -> None:
    """One slow host delays no outcome of another by more than that."""
    pool.start(HELD)
    pool.start(QUICK)
    began = time.monotonic()
    pool.gather(0.05)
    assert time.monotonic() - began >= 0.05
    assert [one.run.id for one in pool.take_finished()] == ["r-1"]


def test_what_lasts_longer_anyway_is_not_waited_for(pool: WorkerPool) -> None:
    """Or each turn would wait for a host that hangs."""
    pool.start(HELD)
    time.sleep(0.07)
    began = time.monotonic()
    for _ in range(200):
        pool.gather(0.02)
    assert time.monotonic() - began < 200 * 0.02 / 2


def run_of(lane: str, name: str) -> ClaimedRun:
    return claimed_run(name, lane)


def names(runs: Iterable[ClaimedRun]) -> list[str]:
    return [run.id for run in runs]


def test_more_than_the_limit_of_a_lane_waits_for_one_of_its_threads(
    pool: WorkerPool, release: threading.Event
) -> None:
    """The threads of other lanes stay free, and it begins when one before it has ended."""
    for name in ("r-1", "r-2", "r-3"):
        pool.start(run_of("held", name))
    assert (pool.free, pool.busy, pool.waiting) == (1, 3, True)
    assert pool.busy_lanes() == {"held": 1}
    release.set()
    pool.gather(30)
    assert names(one.run for one in pool.take_finished()) == ["r-1", "r-2", "r-3"]
    assert (pool.free, pool.busy, pool.waiting) == (2, 0, False)


def test_a_lane_is_taken_from_ahead_while_its_attempts_are_quick(pool: WorkerPool) -> None:
    """As many as it may have threads, less what waits already; never before one has ended."""
    assert pool.ahead() == {}
    pool.start(QUICK)
    pool.gather(30)
    pool.take_finished()
    assert pool.ahead() == {"quick": 1}


def test_a_lane_that_is_slow_is_not_taken_from_ahead(
    pool: WorkerPool, release: threading.Event
) -> None:
    """Neither by an attempt that lasts, nor by one that has lasted."""
    pool.start(HELD)
    time.sleep(0.1)
    assert not pool.ahead()
    assert pool.full_lanes() == {"held"}
    release.set()
    pool.gather(30)
    pool.take_finished()
    assert not pool.ahead()
    assert not pool.full_lanes()


def test_what_waits_too_long_is_taken_back_and_never_begun(
    pool: WorkerPool, release: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its host hangs: whoever has a thread for it later may have it."""
    monkeypatch.setattr(worker_pool, "AHEAD", 0.05)
    for name in ("r-1", "r-2", "r-3"):
        pool.start(run_of("held", name))
    assert pool.take_back() == []
    time.sleep(0.06)
    assert names(pool.take_back()) == ["r-2", "r-3"]
    release.set()
    pool.gather(30)
    assert names(one.run for one in pool.take_finished()) == ["r-1"]


def test_what_waits_too_long_does_not_begin_either_while_nobody_takes_it_back(
    pool: WorkerPool, release: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop may be busy for seconds, and a pause or a cancel has been answered meanwhile."""
    monkeypatch.setattr(worker_pool, "AHEAD", 0.05)
    for name in ("r-1", "r-2", "r-3"):
        pool.start(run_of("held", name))
    time.sleep(0.06)
    release.set()
    wait_for(lambda: not pool.busy_lanes(), 10, "the first to end")
    assert names(pool.take_back()) == ["r-2", "r-3"]
    assert names(one.run for one in pool.take_finished()) == ["r-1"]


def test_all_that_waits_is_taken_back_for_a_stop(pool: WorkerPool) -> None:
    """What has begun is left to end."""
    for name in ("r-1", "r-2"):
        pool.start(run_of("held", name))
    assert names(pool.take_back(every=True)) == ["r-2"]
    assert pool.busy == 1


def test_nothing_that_waits_begins_after_its_service_has_said_that_it_takes_no_more() -> None:
    """Every attempt of the lane would meet the same limit."""
    gate = threading.Event()

    def work(_run: ClaimedRun) -> Outcome:
        gate.wait(30)
        return Outcome(OutcomeKind.TEMPORARY, limited=True)

    pool = WorkerPool(2, work, lambda: None, configure_logs("json"), lane_limit=1)
    for name in ("r-1", "r-2"):
        pool.start(run_of("cdn", name))
    gate.set()
    wait_for(lambda: not pool.busy_lanes(), 10, "the first to end")
    assert names(pool.take_back()) == ["r-2"]
    assert names(one.run for one in pool.take_finished()) == ["r-1"]
    assert pool.ahead() == {}
