"""What people are told out of the ledger."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime

import pytest
from notifications import notification, resource
from stories import story_of

from receiver.core.model import Event
from receiver.ledger.audit.key_values import RULES, put_value
from receiver.ledger.audit.trail import append_events
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.engine.open import open_ledger
from receiver.ledger.engine.sqlite import SqliteLedger
from receiver.ledger.inbox.deliveries import Arrival
from receiver.ledger.inbox.group_commit import IntakeWriter
from receiver.ledger.queries.reader import Filters, Reader
from receiver.ledger.queue.heartbeats import DispatcherHeartbeat, write_heartbeat
from receiver.notification.parse import read_notification


@pytest.fixture
def writer(ledger: Ledger) -> Iterator[IntakeWriter]:
    started = IntakeWriter(ledger, lambda _at, _events: None)
    started.start()
    yield started
    started.stop()


def store(writer: IntakeWriter, application: str = "shop", body: bytes = b"") -> str:
    """Store a sync as the intake does, and return its id."""
    body = body or notification(resource("a"), application=application)
    read = read_notification(body, sender="argocd", channel="sync", query={})
    return writer.submit(Arrival("argocd", "sync", body, datetime.now(UTC), read)).sync


def test_syncs_are_listed_newest_first_and_page_by_page(
    ledger: Ledger, writer: IntakeWriter
) -> None:
    """Each page begins after the last id of the one before."""
    ids = [store(writer, f"app{i}") for i in range(5)]
    reader = Reader(ledger)
    assert [row["id"] for row in reader.syncs(limit=10)] == ids[::-1]
    assert [row["id"] for row in reader.syncs(limit=2)] == [ids[4], ids[3]]
    assert [row["id"] for row in reader.syncs(limit=2, before=ids[3])] == [ids[2], ids[1]]
    assert reader.syncs(limit=2, before=ids[0]) == []
    assert reader.newest() == ids[4]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("argocd/shop", ["argocd/shop"]),
        ("shop", ["argocd/shop"]),
        ("argocd", []),
        ("hop", []),
        ("%", []),
        ("sho_", []),
        ("shop-2", ["argocd/shop-2"]),
    ],
)
def test_syncs_of_one_application(
    ledger: Ledger, writer: IntakeWriter, wanted: str, found: list[str]
) -> None:
    """By its whole key or its name, and by nothing like it."""
    for application in ("shop", "shop-2", "workshop"):
        store(writer, application)
    rows = Reader(ledger).syncs(Filters(application=wanted), limit=10)
    assert [row["application"] for row in rows] == found


def test_a_row_has_the_words_of_the_api(ledger: Ledger, writer: IntakeWriter) -> None:
    """Keys in camelCase, times in RFC 3339, a sync that nobody planned with no plans."""
    finished = datetime(2026, 6, 10, 8, 21, 17, tzinfo=UTC)
    store(writer, body=notification(resource("a"), finished=finished))
    (row,) = Reader(ledger).syncs(limit=1)
    assert row["finishedAt"] == "2026-06-10T08:21:17Z"
    assert row["plannedAt"] is None
    assert (row["state"], row["plans"], row["resources"]) == ("new", [], 1)


def test_a_story_has_every_delivery_and_its_events_in_order(
    ledger: Ledger, writer: IntakeWriter
) -> None:
    """Also those that were duplicates, with the reason."""
    body = notification(resource("a"))
    sync = store(writer, body=body)
    store(writer, "other")
    assert store(writer, body=body) == sync
    story = story_of(Reader(ledger), sync)
    assert story
    assert [d["verdict"] for d in story["deliveries"]] == ["accepted", "duplicate"]
    assert story["deliveries"][1]["reason"] == f"same sync as {sync}"
    assert [e["event"] for e in story["events"]] == [
        "notification.accepted", "notification.duplicate",
    ]  # fmt: skip
    assert story["events"][0]["delivery"] == story["deliveries"][0]["id"]
    assert story["events"][0].items() >= {"application": "argocd/shop"}.items()


def test_what_is_not_there_is_none(ledger: Ledger) -> None:
    """Neither a story nor a newest sync."""
    reader = Reader(ledger)
    assert (story_of(reader, "s-nothing"), reader.newest(), reader.syncs(limit=5)) == (
        None,
        None,
        [],
    )


def test_a_ledger_that_takes_writes_is_ready(ledger: Ledger) -> None:
    """Rules and dispatcher are details; that they are not there yet does not matter."""
    found = Reader(ledger).readiness()
    assert found.reason == ""
    assert found.rules
    assert found.rules["ok"] is False
    assert found.dispatcher == {
        "heartbeatAgeSeconds": None, "alive": 0, "hangingAttempts": 0, "ailments": [],
    }  # fmt: skip


def test_readiness_tells_of_the_rules_in_force_and_the_last_sign_of_life(ledger: Ledger) -> None:
    """As the dispatcher left them."""
    with ledger.write() as connection:
        mark = {"ok": False, "error": "r.yaml:1: no", "digest": "d" * 64, "rules": 3}
        put_value(connection, RULES, mark | {"loadedAt": 0})
        write_heartbeat(connection, "w-1", DispatcherHeartbeat(ledger.now(connection) - 5_000))
    found = Reader(ledger).readiness()
    assert found.rules == mark | {
        "refused": True, "warnings": [], "loadedAt": "1970-01-01T00:00:00Z", "refusedAt": None,
        "tenantRules": 0, "tenantRulesNotReady": 0,
    }  # fmt: skip
    assert found.dispatcher
    assert 5 <= (found.dispatcher["heartbeatAgeSeconds"] or 0) < 15


def test_a_locked_ledger_is_not_ready_and_says_why(file_ledger: SqliteLedger) -> None:
    """And is again once the lock is gone."""
    patient = open_ledger(file_ledger.path, busy_timeout=0.05)
    reader = Reader(patient)
    with closing(sqlite3.connect(file_ledger.path)) as other:
        other.execute("BEGIN IMMEDIATE")
        found = reader.readiness()
        assert "locked" in found.reason
        other.rollback()
    assert not reader.readiness().reason
    patient.close()


def test_every_event_is_counted_by_its_name(ledger: Ledger, writer: IntakeWriter) -> None:
    """In the transaction that stores it."""
    store(writer, "one")
    store(writer, "two")
    with ledger.write() as connection:
        append_events(connection, 0, [Event("plan.failed", {})])
    counted = {
        labels["event"]: value
        for name, labels, value in Reader(ledger).counters()
        if name == "events_total" and value
    }
    assert counted == {"notification.accepted": 2, "plan.failed": 1}


def test_gauges_tell_what_is_open(ledger: Ledger, writer: IntakeWriter) -> None:
    """Syncs that nobody planned, and the age of the dispatcher's last sign of life."""
    store(writer)
    with ledger.write() as connection:
        write_heartbeat(connection, "w-1", DispatcherHeartbeat(ledger.now(connection) - 2_000))
        put_value(connection, RULES, {"ok": True, "error": "", "digest": "ab" * 32, "rules": 4})
    gauges = {name: (labels, value) for name, labels, value in Reader(ledger).counters()}
    assert gauges["syncs_unplanned"] == ({}, 1)
    assert gauges["dead_letters"] == ({}, 0)
    assert gauges["oldest_due_seconds"] == ({}, 0)
    assert 2 <= gauges["dispatcher_heartbeat_age_seconds"][1] < 15
    assert gauges["rules_info"] == ({"digest": "abababababab"}, 1)
    assert (gauges["rules"][1], gauges["rules_reload_success"][1]) == (4, 1)
