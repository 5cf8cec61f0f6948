"""Restarts under load, as an upgrade does them."""

from __future__ import annotations

import threading
import time
from collections import Counter

import pytest
from scenario import CALL, Deploy, Judge, Lasting
from senders import Load, tried_again
from service import wait_for


@pytest.mark.slow
def test_rolling_restart(deploy: Deploy, lasting: Lasting, judge: Judge) -> None:
    """Each notification is accepted at one of Argo CD's four tries, and each is done once."""
    deployment = deploy(CALL, drain="25")
    deployment.target.delay = 0.05
    deployment.start()
    began, seconds = time.monotonic(), lasting(5, 0.15)
    with deployment.load(rate=100) as load:
        while time.monotonic() < began + seconds:
            threading.Event().wait(1)
            deployment.roll()
    deployment.settle()
    found = judge(deployment, load, seconds=time.monotonic() - began)
    assert (found.accepted, found.doubled) == (found.sent, 0), _statuses(load)
    assert {status for status in _statuses(load) if not tried_again(status)} == {202}
    deployment.stop()


def _statuses(load: Load) -> Counter[int]:
    return Counter(one.status for sent in load.sent for one in sent.tries)


def test_restart_beside_a_slow_attempt(deploy: Deploy, judge: Judge) -> None:
    """While an attempt is given its time to end, notifications are still taken."""
    deployment = deploy(CALL.replace("timeout: 8s", "timeout: 30s"), drain="25")
    deployment.start()
    began = time.monotonic()
    deployment.target.delay = 9
    with deployment.load(rate=20) as load:
        wait_for(lambda: bool(deployment.target.seen), 10, "the slow call")
        deployment.target.delay = 0
        deployment.roll()
    deployment.settle()
    found = judge(deployment, load, seconds=time.monotonic() - began)
    assert (found.accepted, found.doubled) == (found.sent, 0), _statuses(load)
    deployment.stop()
