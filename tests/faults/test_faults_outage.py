"""An outage that lasts longer than the four tries of Argo CD's controller."""

from __future__ import annotations

import threading
import time

import pytest
from controller import TWO_ENTRIES, Controller
from scenario import CALL, Deploy, Judge
from service import TOKEN, wait_for

APPLICATIONS = 12
MINUTE = 1.5
"""Seconds that a minute lasts here: the outage is one of four of them."""


def end(controller: Controller, word: str) -> None:
    """Let an operation of each Application end, a second after one another."""
    for number in range(APPLICATIONS):
        controller.end(f"app-{number}", f"{word}-{number}")
        threading.Event().wait(MINUTE / 60)


@pytest.mark.long_form("postgresql")
def test_outage(deploy: Deploy, judge: Judge) -> None:
    """What ends in it arrives by our trigger, and not by one that only looks as if it did so."""
    deployment = deploy(CALL)
    deployment.start()
    began, token = time.monotonic(), f"{TOKEN}senders"
    ours = Controller(deployment.urls, token, minute=MINUTE)
    other = Controller(deployment.urls, token, minute=MINUTE, trigger=TWO_ENTRIES)
    with ours, other:
        end(ours, "before")
        end(other, "other-before")
        wait_for(lambda: all(len(one.tries) > 1 for one in ours.sent), 20, "the second minute")
        down = time.time()
        deployment.stop()
        end(ours, "during")
        end(other, "other-during")
        threading.Event().wait(4 * MINUTE)
        deployment.start()
        deployment.note("down", "all", down, time.time(), ends=True)
        wait_for(lambda: len(ours.accepted) == 2 * APPLICATIONS, 30, "what ended in the outage")
        threading.Event().wait(2 * MINUTE)
    deployment.settle()
    found = judge(deployment, ours, seconds=time.monotonic() - began)
    assert found.accepted == found.sent == 2 * APPLICATIONS
    assert len(other.accepted) < len(other.sent)
    deployment.stop()
