"""Nothing accepted is lost, whatever is killed and whenever."""

from __future__ import annotations

import random
import threading
import time

import pytest
from scenario import CALL, Deploy, Judge, Lasting
from senders import Load


@pytest.mark.slow
def test_kill_9(deploy: Deploy, lasting: Lasting, rate: float, judge: Judge) -> None:
    """Random kills under load: all is called for, and twice only what a kill has hit."""
    chance = random.Random(20261121)  # noqa: S311 repeatable, no secret
    deployment = deploy(CALL)
    loads: list[Load] = []
    deployment.target.delay = 0.01
    deployment.start()
    began, seconds = time.monotonic(), lasting(1, 0.2)
    while time.monotonic() < began + seconds:
        with deployment.load(rate=rate, label=f"round{len(loads)}-") as load:
            for victim in chance.sample(list(deployment.victims), len(deployment.victims)):
                threading.Event().wait(chance.uniform(0.05, 1.0))
                deployment.hit(victim)
        loads.append(load)
        deployment.settle()
    found = judge(deployment, *loads, seconds=time.monotonic() - began)
    assert found.accepted > 100 * len(loads), "the load was too small to prove anything"
    deployment.stop()
