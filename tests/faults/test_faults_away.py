"""A database that is away for a while, and comes back."""

from __future__ import annotations

import threading
import time

import pytest
from cluster import Cluster
from scenario import CALL, Deploy, Judge
from senders import config_map
from service import children, wait_for


@pytest.mark.slow
@pytest.mark.parametrize("deploy", ["postgresql"], indirect=True)
def test_database_away(deploy: Deploy, judge: Judge) -> None:
    """The intake answers 503 quickly meanwhile; the same processes go on afterwards."""
    deployment = deploy(CALL)
    assert isinstance(deployment, Cluster)
    deployment.start()
    before = _processes(deployment)
    began = time.monotonic()
    with deployment.load(rate=100) as load:
        threading.Event().wait(2)
        start = time.time()
        deployment.server.stop()
        wait_for(lambda: _answer(deployment)[0] == 503, 20, "the first 503")
        slowest = max(_answer(deployment)[1] for _ in range(5))
        deployment.server.start()
        wait_for(lambda: _answer(deployment)[0] == 202, 20, "the intake to take again")
        deployment.note("away", "server", start, time.time(), ends=True)
    deployment.settle()
    judge(deployment, load, seconds=time.monotonic() - began)
    assert {one.status for sent in load.sent for one in sent.tries} == {202, 503}
    assert slowest < 5, "the sender is serial: who waits for us holds up everybody's"
    assert _processes(deployment) == before
    deployment.stop()


def _answer(deployment: Cluster) -> tuple[int, float]:
    """Send a notification; the status of the answer, and the seconds until it came."""
    began = time.monotonic()
    answered = deployment.load(rate=1).once(config_map(f"probe-{began}"))
    return answered.status, time.monotonic() - began


def _processes(deployment: Cluster) -> list[list[int]]:
    """The processes of each part below its first."""
    return [children(part.process.pid) for part in deployment.parts if part.process]
