"""A clock that jumps by an hour, forth and back, as a host's does that is set wrong and right."""

from __future__ import annotations

import random
import shutil
import struct
import subprocess
import threading
import time
from pathlib import Path

import pytest
from one_host import OneHost
from scenario import CALL, Deploy, Judge, Lasting
from senders import Load
from service import Target

HOUR = 3600


PATIENT = CALL.replace("initialDelay: 100ms, maxDelay: 500ms", "initialDelay: 2s, maxDelay: 2s")
"""Some runs wait for their next attempt whenever the clock jumps."""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler (Debian: gcc)")
@pytest.mark.parametrize("deploy", ["sqlite"], indirect=True)
def test_clock_jumps(
    tmp_path: Path, deploy: Deploy, target: Target, lasting: Lasting, judge: Judge
) -> None:
    """Under load, with calls that fail at first: nothing is lost, and nothing waits for an hour."""
    chance = random.Random(20261121)  # noqa: S311 repeatable, no secret
    deployment = deploy(PATIENT)
    assert isinstance(deployment, OneHost)
    clock = Clock(tmp_path)
    deployment.service.environ |= clock.environ
    deployment.start()
    loads: list[Load] = []
    began, seconds = time.monotonic(), lasting(1, 0.05)
    while time.monotonic() < began + seconds:
        with deployment.load(rate=60, label=f"round{len(loads)}-") as load:
            for hours in (0, 1, 0, -1, 0):
                target.statuses = chance.choices([200, 503], k=1000)
                start = time.time()
                clock.turn(hours)
                threading.Event().wait(2)
                deployment.note("clock", f"{hours} h", start, time.time(), ends=True)
        loads.append(load)
        target.statuses = []
        deployment.settle(patience=15)
    judge(deployment, *loads, seconds=time.monotonic() - began, explained=False)
    deployment.stop()


class Clock:
    """The wall clock of processes that are started with this environment."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self.turn(0)
        shim = folder / "clock.so"
        source = Path(__file__).with_name("clock.c")
        subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", shim, source], check=True)
        self.environ = {"LD_PRELOAD": str(shim), "TEST_CLOCK": str(self._file)}

    def turn(self, hours: int) -> None:
        """Set it wrong by so many hours, in the file's one word; 0 sets it right."""
        with self._file.open("r+b" if self._file.exists() else "wb", buffering=0) as file:
            file.write(struct.pack("@q", hours * HOUR))
