"""Processes that fall silent for longer than their lease, and come back as if nothing had been."""

from __future__ import annotations

import fcntl
import random
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from deployment import Deployment
from scenario import CALL, Deploy, Judge, Lasting
from senders import Load, config_map
from service import wait_for


@pytest.mark.slow
@pytest.mark.long_form("postgresql")
def test_freezes_past_the_lease(deploy: Deploy, lasting: Lasting, judge: Judge) -> None:
    """SIGSTOP for longer than a lease under load, then SIGCONT: nothing is lost."""
    chance = random.Random(20261122)  # noqa: S311 repeatable, no secret
    deployment = deploy(CALL, lease="3")
    deployment.target.delay = 0.01
    deployment.start()
    victims = [victim for victim in deployment.victims if victim in {"intake", "dispatcher"}]
    loads: list[Load] = []
    began, seconds = time.monotonic(), lasting(1, 0.08)
    while time.monotonic() < began + seconds:
        with deployment.load(rate=100, label=f"round{len(loads)}-") as load:
            for victim in chance.sample(victims, len(victims)):
                threading.Event().wait(chance.uniform(0.5, 1.5))
                with deployment.freeze(victim):
                    threading.Event().wait(4)
        loads.append(load)
        deployment.settle()
    judge(deployment, *loads, seconds=time.monotonic() - began)
    deployment.stop()


def test_a_frozen_worker_cannot_write_what_was_taken_over(deploy: Deploy) -> None:
    """Its own call was answered 404, that of the one who took over 200: the run has succeeded."""
    deployment = deploy(CALL, lease="3")
    deployment.start()
    deployment.target.delay, deployment.target.statuses = 1.0, [404]
    _send_one(deployment)
    wait_for(lambda: len(deployment.target.seen) == 1, 10, "the first call")
    with _frozen_between_writes(deployment):
        deployment.target.delay = 0
        with deployment.second_worker():
            wait_for(lambda: _attempts(deployment) == ["lost", "succeeded"], 30, "the take-over")
            deployment.settle()
    wait_for(lambda: _told(deployment, "attempt.superseded") == 1, 10, "the late outcome")
    assert _attempts(deployment) == ["lost", "succeeded"]
    assert deployment.query("SELECT state FROM plans") == [("succeeded",)]
    keys = {call["headers"]["Idempotency-Key"] for call in deployment.target.seen}
    assert (len(deployment.target.seen), len(keys)) == (2, 1)
    deployment.stop()


@contextmanager
def _frozen_between_writes(deployment: Deployment) -> Iterator[None]:
    """Freeze the dispatcher while it does not write: it would keep the lock of a SQLite file."""
    with ExitStack() as stack:
        while True:
            stack.enter_context(deployment.freeze("dispatcher"))
            if _can_write(deployment.home / "ledger.gate"):
                break
            stack.close()
            time.sleep(0.05)
        yield


def _can_write(gate: Path) -> bool:
    if not gate.exists():
        return True
    with gate.open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def _send_one(deployment: Deployment) -> None:
    assert deployment.load(rate=1).once(config_map("a")).status == 202


def _attempts(deployment: Deployment) -> list[str]:
    rows = deployment.query(
        "SELECT outcome FROM attempts JOIN runs ON runs.id = run_id "
        "WHERE handler = 'http.request' ORDER BY number"
    )
    return [outcome for (outcome,) in rows]


def _told(deployment: Deployment, name: str) -> int:
    """How many lines of the trail there are with this event."""
    return int(deployment.query(f"SELECT COUNT(*) FROM audit_events WHERE name = '{name}'")[0][0])
