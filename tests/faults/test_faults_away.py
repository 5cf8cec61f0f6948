"""A database that is away for a while: stopped, cut off, or replaced by its standby."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from cluster import Cluster
from far_cluster import FarCluster
from scenario import CALL, Deploy, Judge, Lasting
from senders import Load, config_map
from service import TOKEN, Service, children, serving, wait_for
from standby_cluster import StandbyCluster

SOON, MARGIN = 6.0, 10
"""Seconds that an answer may take on an idle machine, a stall of the database included; and how
many times as long as the twin's, which has no trouble and shares the machine."""

LEASE = "15"
"""Seconds, as a text: all processes live on here, and a busy machine stalls one for five (seen)."""


@pytest.fixture
def twin(tmp_path: Path) -> Iterator[Service]:
    """An instance of its own, whose ledger is there all the time."""
    with serving(tmp_path / "twin", CALL.format(url="http://127.0.0.1:9/")) as service:
        yield service


@pytest.mark.slow
@pytest.mark.parametrize("deploy", ["postgresql"], indirect=True)
def test_database_away(deploy: Deploy, judge: Judge, rate: float, twin: Service) -> None:
    """The intake answers 503 quickly meanwhile; the same processes go on afterwards."""
    deployment = deploy(CALL, lease=LEASE)
    assert isinstance(deployment, Cluster)
    with _outage(deployment, judge, "away", rate=rate / 2) as load:
        deployment.server.stop()
        wait_for(lambda: _answer(deployment)[0] == 503, 20, "the first 503")
        asked = [(_answer(deployment)[1], _twins(twin)) for _ in range(5)]
        deployment.server.start()
    assert {one.status for sent in load.sent for one in sent.tries} == {202, 503}
    assert _soon(asked), "the sender is serial: who waits for us holds up everybody's"


@pytest.mark.slow
@pytest.mark.parametrize("deploy", ["postgresql, far"], indirect=True)
def test_database_cut_off(deploy: Deploy, judge: Judge, lasting: Lasting, twin: Service) -> None:
    """Where the network swallows all, senders and probes are answered soon nevertheless.

    In the long form for so long that connections count as broken, and new ones cannot be made.
    """
    deployment = deploy(CALL, lease=LEASE)
    assert isinstance(deployment, FarCluster)
    with _outage(deployment, judge, "cut off", rate=20, threads=64):
        deployment.wire.cut()
        wait_for(lambda: _answer(deployment)[0] == 503, 20, "the first 503")
        asked = _asked(deployment, twin, seconds=lasting(6, 0.02))
        deployment.wire.mend()
    assert _soon(asked), "who waits has a thread, and without one nobody answers the probes"


@pytest.mark.slow
@pytest.mark.parametrize("deploy", ["postgresql, standby"], indirect=True)
def test_failover(deploy: Deploy, judge: Judge) -> None:
    """The standby goes on with all that was accepted; nobody is told, nothing is restarted."""
    deployment = deploy(CALL, lease=LEASE)
    assert isinstance(deployment, StandbyCluster)
    with _outage(deployment, judge, "failover", rate=100):
        deployment.fail_over()


@contextmanager
def _outage(deployment: Cluster, judge: Judge, kind: str, **load: Any) -> Iterator[Load]:
    """Do something to the database under load, and undo it, within the block.

    Afterwards the same processes take notifications, and nothing is lost.
    """
    deployment.start()
    before = _processes(deployment)
    began = time.monotonic()
    with deployment.load(**load) as sending:
        threading.Event().wait(2)
        start = time.time()
        yield sending
        _wait_until_taken(deployment)
        deployment.note(kind, "server", start, time.time(), ends=True)
        threading.Event().wait(2)
    deployment.settle()
    judge(deployment, sending, seconds=time.monotonic() - began)
    assert _processes(deployment) == before
    deployment.stop()


def _wait_until_taken(deployment: Cluster) -> None:
    """Wait for the intake to take again; else say what each side of the wire knows of it."""
    try:
        wait_for(lambda: _answer(deployment)[0] == 202, 30, "the intake to take again")
    except TimeoutError as error:
        answer = deployment.load(rate=1).once(config_map("the-last"))
        neighbours = subprocess.run(["ip", "neighbour"], capture_output=True, text=True, check=True)
        error.add_note(f"{answer}\n{neighbours.stdout}\n{deployment.server.activity()}")
        raise


def _answer(deployment: Cluster) -> tuple[int, float]:
    """Send a notification; the status of the answer, and the seconds until it came."""
    began = time.monotonic()
    answered = deployment.load(rate=1).once(config_map(f"probe-{began}"))
    return answered.status, time.monotonic() - began


def _twins(twin: Service) -> float:
    """Send a notification to who has no trouble; the seconds until it was answered."""
    began = time.monotonic()
    load = Load([twin.url], f"{TOKEN}senders", rate=1)
    assert load.once(config_map(f"probe-{began}")).status == 202
    return time.monotonic() - began


def _asked(deployment: Cluster, twin: Service, *, seconds: float) -> list[tuple[float, float]]:
    """Ask for so long, again and again; how long a sender or a probe waited, and the twin's."""
    asked, until = [], time.monotonic() + seconds
    while time.monotonic() < until:
        asked.append((max(_answer(deployment)[1], _alive(deployment)), _twins(twin)))
        threading.Event().wait(0.2)
    return asked


def _soon(asked: list[tuple[float, float]]) -> bool:
    """Whether they were answered soon, as far as the machine let the twin be."""
    ours, twins = zip(*asked, strict=True)
    return bool(max(ours) < SOON + MARGIN * max(twins))


def _alive(deployment: Cluster) -> float:
    """Ask each intake whether it is alive; the seconds until both have answered."""
    began = time.monotonic()
    for url in deployment.urls:
        assert requests.get(f"{url}/healthz", timeout=60).status_code == 200
    return time.monotonic() - began


def _processes(deployment: Cluster) -> list[list[int]]:
    """The processes of each part below its first."""
    return [children(part.process.pid) for part in deployment.parts if part.process]
