"""Storing what arrives."""

from __future__ import annotations

import resource as limits
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from notifications import notification, resource
from service import wait_for
from sqlalchemy import delete, func, select

from receiver.core.errors import LedgerUnavailable
from receiver.core.model import DeliveryVerdict, Event
from receiver.ledger import tables
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.engine.open import open_ledger
from receiver.ledger.engine.sqlite import SqliteLedger
from receiver.ledger.inbox.circuit_breaker import STALL
from receiver.ledger.inbox.deliveries import Arrival, Receipt
from receiver.ledger.inbox.group_commit import MOMENT, IntakeWriter
from receiver.notification.parse import read_notification


def arrival(
    body: bytes, *, sender: str = "argocd", at: datetime | None = None, **query: str
) -> Arrival:
    read = read_notification(body, sender=sender, channel="sync", query=query)
    return Arrival(sender, "sync", body, at or datetime.now(UTC), read, query=query)


@contextmanager
def writing(ledger: Ledger, events: list[Event] | None = None) -> Iterator[IntakeWriter]:
    told = events if events is not None else []
    writer = IntakeWriter(ledger, lambda _at, committed: told.extend(committed))
    writer.start()
    try:
        yield writer
    finally:
        writer.stop()


def count(ledger: Ledger, table: str) -> int:
    with ledger.read() as connection:
        query = select(func.count()).select_from(tables.metadata.tables[table])
        return connection.scalar(query) or 0


def test_an_accepted_notification_is_a_sync_with_its_delivery_and_its_event(
    ledger: Ledger,
) -> None:
    """One transaction stores the delivery, the sync and the line of the trail."""
    events: list[Event] = []
    with writing(ledger, events) as writer:
        receipt = writer.submit(arrival(notification(resource("a"))))
    assert receipt.verdict is DeliveryVerdict.ACCEPTED
    assert [count(ledger, t) for t in ("syncs", "deliveries", "audit_events")] == [1, 1, 1]
    assert [(e.name, e.sync, e.delivery) for e in events] == [
        ("notification.accepted", receipt.sync, receipt.delivery)
    ]


def test_the_same_sync_again_is_a_duplicate_of_the_first(ledger: Ledger) -> None:
    """A second delivery of one sync is stored as such, and makes no second sync."""
    body = notification(resource("a"))
    with writing(ledger) as writer:
        first = writer.submit(arrival(body))
        second = writer.submit(arrival(body))
    assert (second.verdict, second.sync) == (DeliveryVerdict.DUPLICATE, first.sync)
    assert (count(ledger, "syncs"), count(ledger, "deliveries")) == (1, 2)


def test_two_senders_do_not_share_a_sync(ledger: Ledger) -> None:
    """The same application of another Argo CD instance is another sync."""
    body = notification(resource("a"))
    with writing(ledger) as writer:
        verdicts = [writer.submit(arrival(body, sender=s)).verdict for s in ("east", "west")]
    assert verdicts == [DeliveryVerdict.ACCEPTED] * 2


def test_equal_ones_that_come_at_once_give_one_sync(ledger: Ledger) -> None:
    """Deduplication holds within one group as well as between groups."""
    body = notification(resource("a"))
    with writing(ledger) as writer, ThreadPoolExecutor(24) as pool:
        receipts = list(pool.map(lambda _: writer.submit(arrival(body)), range(24)))
    assert sum(r.verdict is DeliveryVerdict.ACCEPTED for r in receipts) == 1
    assert len({r.sync for r in receipts}) == 1


def test_a_bare_list_is_a_duplicate_for_ten_minutes_only(ledger: Ledger) -> None:
    """Without times of its own a notification is known by its digest, and not for ever."""
    body = b'[{"kind": "ConfigMap", "name": "a"}]'
    query = {"application": "shop", "phase": "Succeeded"}
    now = datetime.now(UTC)
    with writing(ledger) as writer:
        verdicts = [
            writer.submit(arrival(body, at=now + timedelta(minutes=m), **query)).verdict
            for m in (0, 9, 11)
        ]
    assert verdicts == ["accepted", "duplicate", "accepted"]


def test_a_refused_delivery_is_kept_with_its_reason(ledger: Ledger) -> None:
    """What could not be understood can be looked at later."""
    with writing(ledger) as writer:
        receipt = writer.submit(
            Arrival("argocd", "sync", b"{", datetime.now(UTC), None, "not_json: no end")
        )
    assert receipt == Receipt(receipt.delivery, "", DeliveryVerdict.REFUSED, "not_json: no end")
    assert count(ledger, "syncs") == 0


def test_a_locked_ledger_refuses_and_later_takes_again(file_ledger: SqliteLedger) -> None:
    """A write that cannot happen is an error for its sender, and leaves nothing behind."""
    patient = open_ledger(file_ledger.path, busy_timeout=0.05)
    with writing(patient) as writer, closing(sqlite3.connect(file_ledger.path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerUnavailable, match="locked"):
            writer.submit(arrival(notification(resource("a"))))
        other.rollback()
        assert writer.submit(arrival(notification(resource("b")))).verdict == "accepted"
    assert count(file_ledger, "syncs") == 1
    patient.close()


def test_during_a_stall_nobody_else_waits(file_ledger: SqliteLedger) -> None:
    """Else all threads of the intake would; after it, one tries again for all."""
    patient = open_ledger(file_ledger.path, busy_timeout=STALL + 0.5)
    bodies = [arrival(notification(resource("a"), application=f"app{i}")) for i in range(5)]
    with (
        writing(patient) as writer,
        closing(sqlite3.connect(file_ledger.path)) as other,
        ThreadPoolExecutor() as crew,
    ):
        other.execute("BEGIN IMMEDIATE")
        first = crew.submit(writer.submit, bodies[0])
        wait_for(lambda: writer._breaker.stalled, 10, "the stall")
        with pytest.raises(LedgerUnavailable, match="no write for more than 2 s"):
            writer.submit(bodies[1])
        with pytest.raises(LedgerUnavailable, match="locked"):
            first.result(10)
        again = crew.submit(writer.submit, bodies[2])
        wait_for(lambda: writer._breaker.committing, 10, "the next try")
        with pytest.raises(LedgerUnavailable, match="no write for more than 2 s"):
            writer.submit(bodies[3])
        other.rollback()
        assert again.result(10).verdict == "accepted"
        assert writer.submit(bodies[4]).verdict == "accepted"
    assert count(file_ledger, "syncs") == 2
    patient.close()


def test_a_full_disk_refuses_and_leaves_nothing_half_written(file_ledger: SqliteLedger) -> None:
    """The file's size limit stands for a full disk: SQLite meets the same error."""
    before = limits.getrlimit(limits.RLIMIT_FSIZE)
    wal = file_ledger.path.with_name("ledger.db-wal")
    big = notification(*(resource(f"r{i}", f"configmap/r{i} configured") for i in range(20_000)))
    with writing(file_ledger) as writer:
        writer.submit(arrival(notification(resource("a"))))
        try:
            limits.setrlimit(limits.RLIMIT_FSIZE, (wal.stat().st_size + 8192, before[1]))
            with pytest.raises(LedgerUnavailable):
                writer.submit(arrival(big))
        finally:
            limits.setrlimit(limits.RLIMIT_FSIZE, before)
        assert (count(file_ledger, "syncs"), count(file_ledger, "audit_events")) == (1, 1)
        assert writer.submit(arrival(big)).verdict is DeliveryVerdict.ACCEPTED


def hand_in_eight(writer: IntakeWriter, receipts: list[Receipt]) -> list[threading.Thread]:
    """Hand eight arrivals to a writer that has not started yet."""
    threads = [
        threading.Thread(
            target=lambda i=i: receipts.append(
                writer.submit(arrival(notification(resource("a"), application=f"app{i}")))
            )
        )
        for i in range(8)
    ]
    for thread in threads:
        thread.start()
    wait_for(lambda: writer._queue.qsize() == 8, 10, "all to be handed in")
    return threads


def test_a_stopped_writer_has_stored_what_was_handed_in(ledger: Ledger) -> None:
    """Stop drains the queue: nobody who waits is left without an answer."""
    receipts: list[Receipt] = []
    writer = IntakeWriter(ledger, lambda _at, _events: None)
    threads = hand_in_eight(writer, receipts)
    writer.start()
    writer.stop()
    for thread in threads:
        thread.join()
    assert len(receipts) == count(ledger, "syncs") == 8


def test_after_several_at_once_the_next_commit_waits_for_more(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So few commits take what many send at once; who sends alone is not kept waiting."""
    writer = IntakeWriter(ledger, lambda _at, _events: None)
    threads = hand_in_eight(writer, [])
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    writer.start()
    for thread in threads:
        thread.join()
    assert slept == []
    for name in ("one", "two", "three"):
        writer.submit(arrival(notification(resource("a"), application=name)))
    assert slept == [MOMENT]
    writer.stop()


def test_a_reserve_of_the_disk_is_left_for_the_work(file_ledger: SqliteLedger) -> None:
    """Nothing new is taken then, and outcomes are still written."""
    greedy = open_ledger(file_ledger.path, reserve=1 << 60)
    with writing(greedy) as writer:
        with pytest.raises(LedgerUnavailable, match="are kept for the work that was accepted"):
            writer.submit(arrival(notification(resource("a"))))
        with greedy.write() as connection:
            connection.execute(delete(tables.key_values))
    assert count(file_ledger, "deliveries") == 0
    greedy.close()
