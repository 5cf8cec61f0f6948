"""Turns what arrives into rows and events: accepted, a duplicate, or refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection, Row, insert, select

from receiver.core.model import DeliveryVerdict, Event, Json, new_id, rfc3339
from receiver.core.states import SyncState
from receiver.core.storable import dumps
from receiver.ledger import tables
from receiver.ledger.prepared import Prepared, any_of
from receiver.notification.parse import Notification
from receiver.rules.tenants.sight import Reach

WEAK_WINDOW = timedelta(minutes=10)
"""Notifications without times of their own are duplicates if equal and this close together."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A notification that waits to be stored; refused ones have no ``notification``.

    ``failure`` is why its sync will not be planned, "" if it will; ``recovered`` why it was written
    from the Application itself, ``own`` why we have made it, both "" for what Argo CD has sent.
    ``trace`` is the trace context of its span, "" if it has none: a `traceparent`, and after a
    space its `tracestate`.
    """

    sender: str
    channel: str
    body: bytes
    received_at: datetime
    notification: Notification | None
    refusal: str = ""
    failure: str = ""
    recovered: str = ""
    own: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    trace: str = ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was stored; ``sync`` is empty for a refused delivery."""

    delivery: str
    sync: str
    verdict: DeliveryVerdict
    reason: str


def known_syncs(connection: Connection, arrivals: list[Arrival]) -> dict[str, tuple[str, str]]:
    """Map each identity that is in the ledger to its sync's id and Application's uid."""
    notifications = [arrival.notification for arrival in arrivals if arrival.notification]
    identities = [notification.identity for notification in notifications]
    known = {row.identity: (row.id, row.uid) for row in _KNOWN.all(connection, ids=identities)}
    for arrival in arrivals:
        if arrival.notification and arrival.notification.weak:
            row = _recent(connection, arrival.notification.identity, arrival.received_at)
            if row:
                known[arrival.notification.identity] = (row.id, row.uid)
    return known


_S = tables.syncs.c
_KNOWN = Prepared(select(_S.identity, _S.id, _S.uid).where(any_of(_S.identity, "ids")))


def _recent(connection: Connection, identity: str, now: datetime) -> Row[str, str] | None:
    """Find the newest weak sync of this digest, if it came within the window."""
    since = int((now - WEAK_WINDOW).timestamp() * 1000)
    s = tables.syncs.c
    return connection.execute(
        select(s.id, s.uid)
        .where(s.identity.between(f"{identity}@{since:014d}", f"{identity}@~"))
        .order_by(s.identity.desc())
        .limit(1)
    ).first()


class InboxRows:
    """Turns a group of arrivals into rows and events.

    ``known`` are the identities that were stored before or came earlier in the group; ``reaches``
    is whether it is noted down which tenants see a sync.
    """

    def __init__(self, known: dict[str, tuple[str, str]], *, reaches: bool = False) -> None:
        self.known = known
        self.syncs: list[dict[str, object]] = []
        self.reaches: list[dict[str, object]] = []
        self._noted = reaches
        self.deliveries: list[dict[str, object]] = []
        self.events: list[Event] = []

    def add(self, arrival: Arrival, packed: bytes) -> Receipt:
        """Add an arrival, its body compressed."""
        receipt, about = self._classify(arrival)
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
                "query": dumps(arrival.query),
                "body": packed if receipt.verdict is not DeliveryVerdict.DUPLICATE else b"",
            }
        )
        data: dict[str, Json] = {"sender": arrival.sender, "channel": arrival.channel, **about}
        if receipt.reason:
            data["reason"] = receipt.reason
        accepted = receipt.verdict is DeliveryVerdict.ACCEPTED
        name = "notification.made" if arrival.own else f"notification.{receipt.verdict}"
        if accepted and arrival.recovered:
            name = "sync.recovered"
        self.events.append(Event(name, data, delivery=receipt.delivery, sync=receipt.sync))
        if arrival.failure and accepted:
            why: dict[str, Json] = {"reason": arrival.failure}
            self.events.append(Event("sync.failed", why, receipt.delivery, receipt.sync))
        return receipt

    def write(self, connection: Connection) -> None:
        """Write the rows, but for the events."""
        if self.syncs:
            _SYNCS.run(connection, self.syncs)
        if self.reaches:
            _REACHES.run(connection, self.reaches)
        _DELIVERIES.run(connection, self.deliveries)

    def _classify(self, arrival: Arrival) -> tuple[Receipt, dict[str, Json]]:
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
        why = arrival.recovered or arrival.own
        receipt = Receipt(delivery, new_id("s"), DeliveryVerdict.ACCEPTED, why)
        self.known[notification.identity] = (receipt.sync, sync.application.uid)
        self.syncs.append(_sync_row(arrival, notification, receipt))
        if self._noted:
            self.reaches.append({"sync_id": receipt.sync, **asdict(Reach.of(sync))})
        about |= {
            "revision": sync.revision or ",".join(sync.revisions),
            "finishedAt": rfc3339(sync.finished_at) if sync.finished_at else "",
            "resources": notification.listed,
            "shape": notification.shape,
        }
        if notification.left_out:
            about["leftOut"] = notification.left_out
        if arrival.trace:
            about["trace"] = arrival.trace.split("-")[1]
        if notification.weak:
            about["identity"] = "weak: the body's digest, within 10 minutes"
        return receipt, about


_SYNCS, _DELIVERIES = Prepared(insert(tables.syncs)), Prepared(insert(tables.deliveries))
_REACHES = Prepared(insert(tables.reaches))


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
        "project": sync.application.project,
        "uid": sync.application.uid,
        "phase": sync.phase,
        "revision": sync.revision or ",".join(sync.revisions),
        "started_at": _ms(sync.started_at) if sync.started_at else None,
        "finished_at": _ms(sync.finished_at) if sync.finished_at else None,
        "received_at": received,
        "resources": notification.listed,
        "state": SyncState.FAILED.value if arrival.failure else SyncState.NEW.value,
        "reason": arrival.failure,
        "trace": arrival.trace or None,
    }


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
