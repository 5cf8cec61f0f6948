"""The thread that keeps the ledger bounded."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, cast

import pytest
import structlog
from house import House

from receiver.core.errors import SettingsError
from receiver.core.logs import Log
from receiver.core.model import Event
from receiver.dispatcher.retention_thread import RetentionThread
from receiver.ledger.engine.open import open_ledger
from receiver.ledger.engine.sqlite import SqliteLedger
from receiver.ledger.retention.policy import Policy
from receiver.settings.loading import load_settings

RULES = """
- name: tell
  match: {resources: [{kind: ConfigMap}]}
  actions: [{uses: log.message, with: {text: x}}]
"""


@pytest.fixture
def ledger(file_ledger: SqliteLedger) -> SqliteLedger:
    """Only a file has this."""
    return file_ledger


class Told:
    """Notes the trail's lines and the log's, and wakes who waits for one."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.log: list[dict[str, Any]] = []
        self.woken = threading.Event()

    def event(self, event: Event, _at: int) -> None:
        self.events.append(event)
        self.woken.set()

    def line(self, _logger: Any, _method: str, line: Any) -> Any:
        self.log.append(dict(line))
        self.woken.set()
        raise structlog.DropEvent

    def wait(self) -> None:
        assert self.woken.wait(20)
        self.woken.clear()


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def keep(ledger: SqliteLedger, told: Told) -> Iterator[Callable[[], RetentionThread]]:
    """Starts it over a ledger with a sync that ended long ago, and stops it at the end."""
    house = House.of(ledger, RULES)
    house.sync("a", at=-40 * 86400)
    house.work()
    house.sync("b", at=-39 * 86400)
    with closing(sqlite3.connect(ledger.path)) as file, file:
        file.execute("UPDATE syncs SET received_at = 1000, finished_at = 1000")
        file.execute("UPDATE plans SET ended_at = 1000 WHERE ended_at > 0")
    started: list[RetentionThread] = []

    def start() -> RetentionThread:
        log = cast("Log", structlog.wrap_logger(None, processors=[told.line]))
        own = open_ledger(ledger.path, busy_timeout=0.05)
        policy = Policy(30 * 86400, 9, 86400)
        started.append(RetentionThread(own, policy, told.event, log, every=0.02))
        started[-1].start()
        return started[-1]

    yield start
    for one in started:
        one.stop()


def test_it_deletes_what_is_old_and_says_so_once(
    ledger: SqliteLedger, told: Told, keep: Callable[[], RetentionThread]
) -> None:
    """However many rounds it goes; what has not ended stays."""
    keeping = keep()
    told.wait()
    keeping.stop()
    assert [(event.name, event.data["syncs"], event.data["by"]) for event in told.events] == [
        ("ledger.pruned", 1, "retention")
    ]
    assert len(House.of(ledger, RULES).query("SELECT id FROM syncs")) == 1
    assert told.log == []


def test_a_ledger_that_takes_no_write_is_tried_again(
    ledger: SqliteLedger, told: Told, keep: Callable[[], RetentionThread]
) -> None:
    """The thread outlives it."""
    with closing(sqlite3.connect(ledger.path)) as other:
        other.execute("BEGIN IMMEDIATE")
        keep()
        told.wait()
        assert told.log[0]["event"] == "ledger.unavailable"
        other.rollback()
    while not told.events:
        told.wait()
    assert told.events[0].data["syncs"] == 1


def test_a_round_that_breaks_off_is_told_and_the_next_one_comes(
    ledger: SqliteLedger, told: Told, keep: Callable[[], RetentionThread]
) -> None:
    """A bug of ours costs the space, never the thread."""
    with closing(sqlite3.connect(ledger.path)) as file, file:
        file.execute("UPDATE key_values SET value = '[' WHERE name = 'created'")
        file.execute("INSERT INTO key_values VALUES ('rules', '[')")
    keep()
    told.wait()
    assert told.log[0]["event"] == "ledger.bug"
    assert "JSONDecodeError" in told.log[0]["traceback"]
    with closing(sqlite3.connect(ledger.path)) as file, file:
        file.execute("DELETE FROM key_values WHERE name = 'rules'")
    while not told.events:
        told.wait()


def test_stopping_is_prompt_and_leaves_the_rest_to_the_next_start(
    ledger: SqliteLedger, keep: Callable[[], RetentionThread]
) -> None:
    """Stopped while somebody holds the write lock, it ends as soon as it may."""
    with ledger.write_lock:
        keeping = keep()
    keeping.stop()
    assert not keeping._thread.alive


def test_a_sync_must_be_known_until_it_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    """The two settings are named, and why."""
    monkeypatch.setenv("POSTSYNC_MAX_AGE", "864000")
    with pytest.raises(SettingsError, match=r"keepFor \(86400 s\) must be longer than maxAge"):
        load_settings(keep_for=86400)
    assert load_settings(keep_for=864001).keep_for == 864001
