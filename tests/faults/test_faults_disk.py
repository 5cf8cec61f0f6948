"""Disks that are full, or that the kernel has made read-only, under load."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from deployment import Deployment
from disks import BreakingDisk, Disk, breaking_disk, small_disk
from scenario import CALL, Deploy, Judge, Lasting
from senders import Load
from service import wait_for

pytestmark = pytest.mark.parametrize("deploy", ["sqlite"], indirect=True)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Disk]:
    with small_disk(tmp_path / "small", 192) as disk:
        yield disk


@pytest.fixture
def breaking(tmp_path: Path) -> Iterator[BreakingDisk]:
    with breaking_disk(tmp_path) as disk:
        yield disk


def test_disk_full(small: Disk, deploy: Deploy, lasting: Lasting, judge: Judge) -> None:
    """Full again and again under load: 503 meanwhile, no process ends, and nothing is lost."""
    deployment = deploy(CALL, home=small.place / "home", disk_reserve="0")
    deployment.start()
    before = deployment.process("intake"), deployment.process("dispatcher")
    loads: list[Load] = []
    began, seconds = time.monotonic(), lasting(1, 0.05)
    while time.monotonic() < began + seconds:
        with deployment.load(rate=100, label=f"round{len(loads)}-") as load:
            for _ in range(3):
                _fill_for_a_while(deployment, small, load)
        loads.append(load)
        deployment.settle()
    assert (deployment.process("intake"), deployment.process("dispatcher")) == before
    judge(deployment, *loads, seconds=time.monotonic() - began)
    statuses = {one.status for load in loads for sent in load.sent for one in sent.tries}
    assert statuses == {202, 503}
    deployment.stop()


def _fill_for_a_while(deployment: Deployment, disk: Disk, load: Load) -> None:
    threading.Event().wait(0.5)
    start = time.time()
    disk.fill()
    _wait_for_status(load, 503)
    disk.free()
    deployment.note("disk full", "ledger", start, time.time(), ends=False)
    _wait_for_status(load, 202)


def test_disk_read_only(breaking: BreakingDisk, deploy: Deploy, judge: Judge) -> None:
    """The kernel gives the disk up: 503 and no crash; mounted again, all that was accepted is done.

    What was done when the disk broke could not be written, and is done again.
    """
    deployment = deploy(CALL, home=breaking.place / "home", drain="0")
    deployment.start()
    breaking.sync()
    began, start = time.monotonic(), time.time()
    before = deployment.process("intake"), deployment.process("dispatcher")
    with deployment.load(rate=100) as load:
        wait_for(lambda: len(deployment.target.seen) > 50, 20, "some calls")
        # A sync that is under way just then may succeed and keep nothing: nobody could know better.
        with deployment.freeze("intake"), deployment.freeze("dispatcher"):
            threading.Event().wait(0.3)
            breaking.abort()
        _wait_for_status(load, 503)
    assert (deployment.process("intake"), deployment.process("dispatcher")) == before
    deployment.stop()
    breaking.repair()
    deployment.start()
    deployment.note("read-only", "ledger", start, time.time(), ends=True)
    deployment.settle()
    judge(deployment, load, seconds=time.monotonic() - began)
    deployment.stop()


def _wait_for_status(load: Load, status: int) -> None:
    """Wait until a notification that is sent from now on is answered so."""
    known = len(load.sent)

    def answered() -> bool:
        return any(one.status == status for sent in load.sent[known:] for one in sent.tries)

    wait_for(answered, 30, f"an answer {status}")
