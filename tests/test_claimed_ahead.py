"""Runs that are claimed before their lane has a thread for them, when their turn does not come."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from service import wait_for
from sqlalchemy import text
from test_hanging import House
from third_party import distribution

from receiver.app.composition import dispatcher_over
from receiver.core.logs import configure_logs
from receiver.dispatcher import worker_pool
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.engine.wakeup import Wakeup
from receiver.ledger.inbox.group_commit import IntakeWriter
from receiver.settings.model import Settings

HANDLER = """
import itertools, threading
from receiver.contract import Handler, Params, Succeeded

BEGUN, OVER = itertools.count(1), threading.Event()
STUCK = threading.Semaphore(0)

class Nothing(Params):
    '''Takes nothing.'''

def run(params, call):
    if next(BEGUN) > 2:
        STUCK.release()
        OVER.wait(30)
    return Succeeded()

handlers = [Handler(name="toy.slows", summary="Slows.", params=Nothing, run=run, example="{}")]
"""
RULES = """
version: 1
rules:
- name: slows
  match: {resources: [{kind: ConfigMap}]}
  actions: [{uses: toy.slows}]
"""


@pytest.fixture
def slows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A handler whose first two attempts are quick, and the others last until they may end."""
    site, name = tmp_path / "site", f"slows_{abs(hash(str(tmp_path)))}"
    monkeypatch.syspath_prepend(str(site))
    distribution(site, name, HANDLER)
    module = __import__(name)
    yield module
    module.OVER.set()


@pytest.fixture
def house(file_ledger: Ledger, tmp_path: Path, slows: Any) -> Iterator[House]:
    """A dispatcher with eight threads, of which one lane may have two."""
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)
    settings = Settings(home=tmp_path, rules=[rules], attempt_threads=8, drain=20)
    writer = IntakeWriter(file_ledger, lambda _at, _events: None)
    dispatcher = dispatcher_over(file_ledger, settings, Wakeup(), configure_logs("json"), "w-1")
    made = House(file_ledger, dispatcher, writer)
    writer.start()
    made.send("shop", 8)
    made.life.start()
    try:
        for _ in range(2):
            assert slows.STUCK.acquire(timeout=20)
        yield made
    finally:
        slows.OVER.set()
        dispatcher.stop()
        made.life.join(20)
        writer.stop()
        assert not made.life.is_alive()


def returned(house: House) -> list[str]:
    """Why runs were given back, of each."""
    query = (
        "SELECT json_extract(data, '$.reason') FROM audit_events WHERE name = 'attempt.returned'"
    )
    with house.ledger.read() as connection:
        return [*connection.scalars(text(query))]


def states(house: House) -> list[str]:
    return sorted(state for state, _ in house.runs("toy.slows"))


def test_what_waits_for_a_lane_that_has_become_slow_is_given_back(house: House, slows: Any) -> None:
    """Others may claim it, and in the end each run has had one attempt."""
    wait_for(lambda: states(house).count("due") == 4, 20, "what waits to be given back")
    assert returned(house) == ["what it would have called is slow now, or takes no more"] * 2
    slows.OVER.set()
    house.wait("toy.slows", "succeeded", 8)
    with house.ledger.read() as connection:
        counts = connection.execute(text("SELECT COUNT(*), MAX(number) FROM attempts")).one()
    assert tuple(counts) == (8, 1)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let runs wait for their lane for a long time."""
    monkeypatch.setattr(worker_pool, "AHEAD", 60.0)


@pytest.mark.usefixtures("patient")
def test_a_stop_gives_back_what_waits(house: House, slows: Any) -> None:
    """It counts as no attempt, and the next process begins it; what has begun may end."""
    house.dispatcher.stop()
    wait_for(lambda: len(returned(house)) == 2, 20, "what waits to be given back")
    assert set(returned(house)) == {"its process was stopped"}
    slows.OVER.set()
    house.life.join(20)
    assert states(house) == ["due"] * 4 + ["succeeded"] * 4
