"""The pool of threads that make attempts."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from planning import claimed_run

from receiver.core.logs import configure_logs
from receiver.core.model import Outcome, OutcomeKind
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
        if run.lane == "held":
            release.wait(30)
        return Outcome(OutcomeKind.SUCCEEDED)

    return WorkerPool(2, work, lambda: None, configure_logs("json"))


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
