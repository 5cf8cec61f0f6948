"""The probes."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from doors import Doors, build, doors
from service import wait_for

from receiver.core.threads import SupervisedThread, deaths
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.engine.open import open_ledger
from receiver.ledger.inbox.group_commit import IntakeWriter
from receiver.ledger.queue.heartbeats import DispatcherHeartbeat, write_heartbeat


@pytest.fixture
def web(ledger: Ledger, tmp_path: Path) -> Iterator[Doors]:
    with doors(ledger, tmp_path) as made:
        yield made


@pytest.fixture
def aged(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the process had run longer than the dispatcher may be silent."""
    monkeypatch.setattr("receiver.web.health.DEAD_AFTER", 0.0)


def beat(ledger: Ledger, ago: float) -> None:
    with ledger.write() as connection:
        write_heartbeat(connection, "w-1", DispatcherHeartbeat(int((time.time() - ago) * 1000)))


def test_a_fresh_process_is_healthy_before_the_first_heartbeat(web: Doors) -> None:
    """The dispatcher starts beside it; a restart now would help nobody."""
    answer = web.client.get("/healthz")
    assert (answer.status_code, answer.json) == (200, {"healthy": True, "reasons": []})


def test_a_dispatcher_that_beats_is_healthy(web: Doors) -> None:
    """An old enough process asks for a young heartbeat."""
    beat(web.ledger, ago=0)
    assert web.client.get("/healthz").status_code == 200


@pytest.mark.usefixtures("aged")
@pytest.mark.parametrize(
    ("ago", "reason"), [(None, "never given a sign of life"), (60, "silent for 6")]
)
def test_a_silent_dispatcher_is_unhealthy_with_the_reason(
    web: Doors, ago: float | None, reason: str
) -> None:
    """A restart may cure it."""
    if ago is not None:
        beat(web.ledger, ago)
    answer = web.client.get("/healthz")
    assert answer.status_code == 503
    assert answer.json
    assert reason in answer.json["reasons"][0]


def test_a_ledger_that_takes_writes_is_ready_whatever_the_rules_are(web: Doors) -> None:
    """Intake never needs the rules; their state is a detail."""
    answer = web.client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json
    assert (answer.json["ready"], answer.json["reasons"]) == (True, [])
    assert answer.json["rules"]["ok"] is False


def test_a_locked_ledger_is_not_ready_and_says_why(tmp_path: Path) -> None:
    """Traffic goes elsewhere or waits, and the process lives."""
    ledger = open_ledger(tmp_path / "ledger.db", busy_timeout=0.05)
    web = build(ledger, tmp_path, IntakeWriter(ledger, lambda _at, _events: None))
    with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        answer = web.client.get("/readyz")
        assert answer.status_code == 503
        assert answer.json
        assert "locked" in answer.json["reasons"][0]
        assert web.client.get("/healthz").status_code == 200
    ledger.close()


def test_a_thread_that_broke_off_makes_its_process_unhealthy(web: Doors) -> None:
    """Until it has lived for a while; what it could not do meanwhile, nobody did."""
    over, errors = threading.Event(), [ValueError("no")]

    def body() -> None:
        if errors:
            raise errors.pop()
        over.wait()

    thread = SupervisedThread("probed", body)
    thread.start()
    try:
        wait_for(lambda: not errors, 10, "its death")
        wait_for(lambda: web.client.get("/healthz").status_code == 503, 10, "the probe")
        answer = web.client.get("/healthz")
        assert answer.json
        assert answer.json["reasons"] == ["the thread probed broke off: ValueError"]
        labels, died = '{process="intake",thread="probed"}', deaths()["probed"]
        counted = f"postsync_thread_deaths_total{labels} {died}.0"
        assert counted in web.client.get("/metrics").text
    finally:
        over.set()
        thread.join(10)


def test_what_the_dispatcher_says_of_its_threads_is_told_by_the_probe(web: Doors) -> None:
    """It is another process, and its sign of life carries it."""
    with web.ledger.write() as connection:
        at = web.ledger.now(connection)
        write_heartbeat(
            connection, "w-1", DispatcherHeartbeat(at, ["the thread rules broke off: ValueError"])
        )
    answer = web.client.get("/healthz")
    assert answer.status_code == 503
    assert answer.json
    assert answer.json["reasons"] == ["the dispatcher: the thread rules broke off: ValueError"]
