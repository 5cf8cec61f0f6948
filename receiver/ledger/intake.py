"""Stores what arrives: one thread writes, in groups, and each request waits for its commit.

SQLite syncs the disk once a commit, and several writers of one file starve each other (its
busy wait has no queue). So the requests' threads hand their arrivals to one writer, which
takes what has gathered into one transaction. A group that fails is tried again singly, so
that one bad row never costs its neighbours their answer.
"""

from __future__ import annotations

import json
import threading
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from queue import Empty, SimpleQueue

from sqlalchemy import Connection, RowMapping, insert, select

from receiver.errors import LedgerUnavailable
from receiver.ledger import tables
from receiver.ledger.connect import Ledger
from receiver.ledger.events import append_events
from receiver.model import DeliveryVerdict, Event, Json, SyncState, new_id, rfc3339
from receiver.payload import Notification

GROUP = 64
GROUP_BYTES = 8 << 20
"""A group is bounded by both, so that a large notification does not hold up many small ones."""

WEAK_WINDOW = timedelta(minutes=10)
"""Notifications without times of their own are duplicates if equal and this close together."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A notification that waits to be stored; refused ones have no ``notification``."""

    sender: str
    channel: str
    body: bytes
    received_at: datetime
    notification: Notification | None
    refusal: str = ""
    query: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was stored; ``sync`` is empty for a refused delivery."""

    delivery: str
    sync: str
    verdict: DeliveryVerdict
    reason: str


@dataclass(frozen=True, slots=True)
class _Waiting:
    arrival: Arrival
    packed: bytes
    done: Future[Receipt] = field(default_factory=Future)


Committed = Callable[[datetime, Sequence[Event]], None]
"""Called after each commit with the events that it stored."""


class IntakeWriter:
    """The one writer of the intake. Start it after the fork."""

    def __init__(self, ledger: Ledger, committed: Committed) -> None:
        self._ledger = ledger
        self._committed = committed
        self._queue: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="intake-writer", daemon=True)

    def start(self) -> None:
        """Start the writer's thread."""
        self._thread.start()

    def stop(self) -> None:
        """Store what has been handed in, then end."""
        self._queue.put(None)
        self._thread.join(timeout=30)

    def submit(self, arrival: Arrival, timeout: float = 15.0) -> Receipt:
        """Hand an arrival in and wait, at most ``timeout`` seconds, until it is on disk.

        Raises:
            LedgerUnavailable: it was not stored; or nobody can tell yet, and the sender's
                next try will be recognised as a duplicate.
        """
        waiting = _Waiting(arrival, zlib.compress(arrival.body, 1))
        self._queue.put(waiting)
        try:
            return waiting.done.result(timeout)
        except FutureTimeout:
            waiting.done.cancel()
            raise LedgerUnavailable(f"the ledger took no write within {timeout:g} s") from None

    def _work(self) -> None:
        while (first := self._queue.get()) is not None:
            group, last = self._gather(first)
            self._store(group)
            if last:
                return

    def _gather(self, first: _Waiting) -> tuple[list[_Waiting], bool]:
        group, size = [first], len(first.packed)
        while len(group) < GROUP and size < GROUP_BYTES:
            try:
                waiting = self._queue.get_nowait()
            except Empty:
                break
            if waiting is None:
                return group, True
            group.append(waiting)
            size += len(waiting.packed)
        return group, False

    def _store(self, group: list[_Waiting]) -> None:
        group = [waiting for waiting in group if waiting.done.set_running_or_notify_cancel()]
        if not group:
            return
        try:
            receipts, events = self._commit(group)
        except Exception as error:  # noqa: BLE001 whatever it was, every request gets its answer
            if len(group) > 1:
                for waiting in group:
                    self._store_one(waiting)
            else:
                group[0].done.set_exception(_unavailable(error))
            return
        self._answer(group, receipts, events)

    def _store_one(self, waiting: _Waiting) -> None:
        try:
            receipts, events = self._commit([waiting])
        except Exception as error:  # noqa: BLE001 as above
            waiting.done.set_exception(_unavailable(error))
            return
        self._answer([waiting], receipts, events)

    def _answer(self, group: list[_Waiting], receipts: list[Receipt], events: list[Event]) -> None:
        for waiting, receipt in zip(group, receipts, strict=True):
            waiting.done.set_result(receipt)
        self._committed(group[-1].arrival.received_at, events)

    def _commit(self, group: list[_Waiting]) -> tuple[list[Receipt], list[Event]]:
        with self._ledger.write() as connection:
            store = _Group(_known(connection, [waiting.arrival for waiting in group]))
            receipts = [store.add(waiting.arrival, waiting.packed) for waiting in group]
            if store.syncs:
                connection.execute(insert(tables.syncs), store.syncs)
            connection.execute(insert(tables.deliveries), store.deliveries)
            append_events(connection, int(time.time() * 1000), store.events)
        return receipts, store.events


def _unavailable(error: Exception) -> LedgerUnavailable:
    if isinstance(error, LedgerUnavailable):
        return error
    return LedgerUnavailable(f"the notification could not be stored: {error}")


def _known(connection: Connection, arrivals: list[Arrival]) -> dict[str, tuple[str, str]]:
    """Map each identity that is in the ledger to its sync's id and Application's uid."""
    notifications = [arrival.notification for arrival in arrivals if arrival.notification]
    rows = connection.execute(
        select(tables.syncs.c.identity, tables.syncs.c.id, tables.syncs.c.uid).where(
            tables.syncs.c.identity.in_([item.identity for item in notifications])
        )
    )
    known = {row.identity: (row.id, row.uid) for row in rows}
    for arrival in arrivals:
        if arrival.notification and arrival.notification.weak:
            row = _recent(connection, arrival.notification.identity, arrival.received_at)
            if row:
                known[arrival.notification.identity] = (row["id"], row["uid"])
    return known


def _recent(connection: Connection, identity: str, now: datetime) -> RowMapping | None:
    """Find the newest weak sync of this digest, if it came within the window."""
    since = int((now - WEAK_WINDOW).timestamp() * 1000)
    return (
        connection.execute(
            select(tables.syncs.c.id, tables.syncs.c.uid)
            .where(tables.syncs.c.identity.between(f"{identity}@{since:014d}", f"{identity}@~"))
            .order_by(tables.syncs.c.identity.desc())
            .limit(1)
        )
        .mappings()
        .first()
    )


class _Group:
    """Turns arrivals into rows and events; knows the identities seen before and in the group."""

    def __init__(self, known: dict[str, tuple[str, str]]) -> None:
        self.known = known
        self.syncs: list[dict[str, object]] = []
        self.deliveries: list[dict[str, object]] = []
        self.events: list[Event] = []

    def add(self, arrival: Arrival, packed: bytes) -> Receipt:
        receipt, about = self._judge(arrival)
        self.deliveries.append(
            {
                "id": receipt.delivery,
                "received_at": _ms(arrival.received_at),
                "sender": arrival.sender,
                "channel": arrival.channel,
                "verdict": receipt.verdict.value,
                "reason": receipt.reason,
                "sync_id": receipt.sync or None,
                "size": len(arrival.body),
                "query": json.dumps(arrival.query),
                "body": packed if receipt.verdict is not DeliveryVerdict.DUPLICATE else b"",
            }
        )
        data: dict[str, Json] = {"sender": arrival.sender, "channel": arrival.channel, **about}
        if receipt.reason:
            data["reason"] = receipt.reason
        name = f"notification.{receipt.verdict}"
        self.events.append(Event(name, data, delivery=receipt.delivery, sync=receipt.sync))
        return receipt

    def _judge(self, arrival: Arrival) -> tuple[Receipt, dict[str, Json]]:
        delivery = new_id("d")
        if arrival.notification is None:
            receipt = Receipt(delivery, "", DeliveryVerdict.REFUSED, arrival.refusal)
            return receipt, {"bytes": len(arrival.body)}
        notification = arrival.notification
        sync = notification.sync
        about: dict[str, Json] = {"application": sync.application.key, "phase": sync.phase}
        if found := self.known.get(notification.identity):
            reason = f"same sync as {found[0]}"
            if found[1] != sync.application.uid:
                reason += ", although the Application's uid differs"
            return Receipt(delivery, found[0], DeliveryVerdict.DUPLICATE, reason), about
        receipt = Receipt(delivery, new_id("s"), DeliveryVerdict.ACCEPTED, "")
        self.known[notification.identity] = (receipt.sync, sync.application.uid)
        self.syncs.append(_sync_row(arrival, notification, receipt))
        about |= {
            "revision": sync.revision or ",".join(sync.revisions),
            "finishedAt": rfc3339(sync.finished_at) if sync.finished_at else "",
            "resources": notification.listed,
            "shape": notification.shape,
        }
        if notification.weak:
            about["identity"] = "weak: the body's digest, within 10 minutes"
        return receipt, about


def _sync_row(arrival: Arrival, notification: Notification, receipt: Receipt) -> dict[str, object]:
    sync = notification.sync
    received = _ms(arrival.received_at)
    identity = notification.identity
    return {
        "id": receipt.sync,
        "identity": f"{identity}@{received:014d}" if notification.weak else identity,
        "delivery_id": receipt.delivery,
        "sender": sync.sender,
        "channel": sync.channel,
        "application": sync.application.key,
        "uid": sync.application.uid,
        "phase": sync.phase,
        "revision": sync.revision or ",".join(sync.revisions),
        "started_at": _ms(sync.started_at) if sync.started_at else None,
        "finished_at": _ms(sync.finished_at) if sync.finished_at else None,
        "received_at": received,
        "resources": notification.listed,
        "changed": 0,
        "state": SyncState.NEW.value,
        "reason": "",
    }


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
