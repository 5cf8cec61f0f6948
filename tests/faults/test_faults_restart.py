"""Restarts under load, as an upgrade does them."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from deployment import Deployment
from scenario import CALL, Deploy, Judge, Lasting
from senders import Load, tried_again
from service import wait_for


@pytest.mark.slow
@pytest.mark.long_form("sqlite")
def test_rolling_restart(deploy: Deploy, lasting: Lasting, rate: float, judge: Judge) -> None:
    """Each notification is accepted at one of Argo CD's four tries, and each is done once.

    Nobody falls silent here, so the lease is one that a busy machine keeps.
    """
    deployment = deploy(CALL, drain="25", lease="60")
    deployment.target.delay = 0.1
    deployment.start()
    loads: list[Load] = []
    began, seconds = time.monotonic(), lasting(1, 0.08)
    while time.monotonic() < began + seconds:
        with deployment.load(rate=rate / 4, label=f"round{len(loads)}-") as load:
            threading.Event().wait(1)
            deployment.roll()
        loads.append(load)
        deployment.settle()
    found = judge(deployment, *loads, seconds=time.monotonic() - began)
    statuses = _statuses(*loads)
    assert (found.accepted, found.doubled) == (found.sent, 0), statuses
    assert {status for status in statuses if not tried_again(status)} == {202}
    deployment.stop()


@pytest.mark.long_form("postgresql")
def test_restart_beside_a_slow_attempt(deploy: Deploy, judge: Judge) -> None:
    """While an attempt is given its time to end, notifications are still taken.

    It ends when so many were. Those that find nobody between its end and the next start are not
    what this is about: how long that takes is a matter of the machine.
    """
    deployment = deploy(CALL.replace("timeout: 8s", "timeout: 100s"), drain="100")
    deployment.start()
    began, end = time.monotonic(), threading.Event()
    deployment.target.gates.append(end)
    with deployment.load(rate=20) as load, ThreadPoolExecutor(1) as pool:
        wait_for(lambda: bool(deployment.target.seen), 10, "the slow call")
        before = _taken(deployment)
        rolled = pool.submit(deployment.roll)
        wait_for(lambda: _taken(deployment) >= before + 100, 10, "notifications to be taken")
        end.set()
        rolled.result()
    deployment.settle()
    found = judge(deployment, load, seconds=time.monotonic() - began)
    assert found.doubled == 0, _statuses(load)
    deployment.stop()


def _taken(deployment: Deployment) -> int:
    return int(deployment.query("SELECT COUNT(*) FROM syncs")[0][0])


def _statuses(*loads: Load) -> Counter[int]:
    return Counter(one.status for load in loads for sent in load.sent for one in sent.tries)
