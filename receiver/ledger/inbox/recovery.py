"""Which finished operations are not in the ledger, and those that are lost for good."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, or_, select, text

from receiver.core.model import Event, Json, first_id, rfc3339
from receiver.ledger import tables
from receiver.ledger.audit.key_values import CONNECTED, CREATED, get_value, put_value
from receiver.notification.parse import AHEAD, CHANNEL
from receiver.notification.recovered import Wording


@dataclass(frozen=True, slots=True)
class Operation:
    """A finished operation of an Application, as far as it is known.

    Attributes:
        namespace: of the Application itself.
        name: of the Application.
        uid: of the Application.
        started_at: when it started; with the Application it tells operations apart.
        finished_at: when it finished; None where only the Application's history tells of it.
        phase: how it ended; "" likewise.
    """

    namespace: str
    name: str
    uid: str
    started_at: datetime
    finished_at: datetime | None = None
    phase: str = ""

    @property
    def application(self) -> str:
        """``namespace/name``."""
        return f"{self.namespace}/{self.name}"

    def recognisable(self, wording: Wording) -> bool:
        """Whether a notification with this wording can be told to be of it."""
        return wording.finished_at and (wording.started_at or self.finished_at is not None)


AT_ITS_BEGINNING = 60_000
"""Milliseconds in the age of a ledger at which a connection has been there from its beginning."""


def first_use(connection: Connection, sender: str, now: int) -> int:
    """Return when a sender's connection was first used, and note it down; in milliseconds.

    What finished before was left to notifications alone: who adds a connection does not mean to
    have done what these left out.
    """
    known: dict[str, int] = get_value(connection, CONNECTED) or {}
    if sender not in known:
        created: int = get_value(connection, CREATED)
        known[sender] = created if now - created < AT_ITS_BEGINNING else now
        put_value(connection, CONNECTED, known)
    return known[sender]


OWN = "the sender's own"
"""Stands for any uid: the sender's notifications may have none."""


def wording_of(connection: Connection, sender: str) -> Wording:
    """Return what the sender's syncs name; that of its newest one counts."""
    s = tables.syncs.c
    mine = select(s.application, s.started_at, s.finished_at).where(
        s.sender == sender, s.channel == CHANNEL
    )
    row = connection.execute(mine.order_by(s.id.desc()).limit(1)).first()
    if row is None:
        return Wording()
    return Wording("/" in row.application, row.started_at is not None, row.finished_at is not None)


def unknown_operations(
    connection: Connection, sender: str, operations: Sequence[Operation], since: datetime
) -> list[Operation]:
    """Return those of which there is no sync, nor one that may be theirs.

    A sync without a start is known by its end; what the history alone tells of, by its start. A
    sync that another sender notified of is theirs if it is of the same Application by its uid: the
    connection is named by mistake unlike the token.

    Args:
        connection: for reading.
        sender: whose they are.
        operations: finished since then.
        since: syncs that came a day earlier are not looked at: clocks may differ by so much.
    """
    names = {name for one in operations for name in (one.application, one.name)}
    first = first_id("s", _ms(since - AHEAD))
    s = tables.syncs.c
    rows = connection.execute(
        select(s.sender, s.uid, s.application, s.started_at, s.finished_at)
        .where(s.application.in_(names), s.id > first, s.channel == CHANNEL)
        .where(or_(s.started_at.in_({_ms(one.started_at) for one in operations}),
                   s.started_at.is_(None)))
    )  # fmt: skip
    found = {
        (OWN if row.sender == sender else row.uid, row.application, row.started_at, end)
        for row in rows
        for end in (row.finished_at, None)
    }

    def known(one: Operation) -> bool:
        end = one.finished_at and _ms(one.finished_at)
        return any(
            (whose, name, start, end) in found
            for whose in filter(None, (OWN, one.uid))
            for name in (one.application, one.name)
            for start in (_ms(one.started_at), None)
        )

    return [one for one in operations if not known(one)]


_MISSED = text(
    "INSERT INTO missed_operations (sender, application, started_at, at) "
    "VALUES (:sender, :application, :started_at, :at) ON CONFLICT DO NOTHING"
)


def store_missed(
    connection: Connection, now: int, sender: str, missed: Mapping[Operation, dict[str, Json]]
) -> list[Event]:
    """Store operations that nobody saw before the next one overwrote them.

    Args:
        connection: for writing.
        now: in milliseconds.
        sender: whose they are.
        missed: each with what else is known of it.

    Returns:
        An event of each that had not been told of before.
    """
    events = []
    for one, about in missed.items():
        row = {"sender": sender, "application": one.application, "at": now}
        if connection.execute(_MISSED, {**row, "started_at": _ms(one.started_at)}).rowcount:
            data = {"sender": sender, "application": one.application, **_told(one), **about}
            events.append(Event("operation.missed", data))
    return events


def _told(one: Operation) -> dict[str, Json]:
    finished = {"finishedAt": rfc3339(one.finished_at)} if one.finished_at else {}
    phase = {"phase": one.phase} if one.phase else {}
    return {**phase, "startedAt": rfc3339(one.started_at), **finished}


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
