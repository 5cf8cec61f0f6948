"""Stores the messages of a sync's hooks, and finds the messages of a sync.

A hook sends its messages while its sync is under way, so they are stored before the sync's
notification comes. No writer links them: whoever reads a sync looks for the messages of its
Application and its time, whichever of the two came first.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, select

from receiver.core.model import Event, Json, from_ms, new_id
from receiver.ledger import tables
from receiver.ledger.audit.trail import Committed, append_events
from receiver.ledger.engine.ledger import Ledger, LockMode

BEFORE_MS = 30_000
"""How long before its sync's start a message may be: Argo CD writes whole seconds by a clock of
its own."""

AFTER_MS = 60_000
"""How long after its sync's end a message may come: a PostSync hook ends before that, but a
message of a SyncFail hook, or one that was tried again, may be late."""

FAR_MS = 1 << 50
"""A time in milliseconds beyond any clock, some 35,000 years from 1970."""

MOST = 1000
"""Messages that are shown with a sync; those of a hook in a loop beyond that are on the trail."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message of a hook.

    Attributes:
        sender: the name of the token that it came with.
        application: the Application, ``name`` or ``namespace/name``.
        text: its words; control characters are already replaced.
        about: its other fields (hook, wave, the Job's name), for the trail.
    """

    sender: str
    application: str
    text: str
    about: dict[str, Json]


@dataclass(frozen=True, slots=True)
class Span:
    """When a sync was under way, in milliseconds."""

    sync: str
    application: str
    start: int
    end: int

    def distance(self, at: int) -> int:
        """Return how many milliseconds a moment lies outside; 0 within."""
        return max(self.start - at, at - self.end, 0)


class HookMessages:
    """Stores messages, each in a transaction of its own: they are few."""

    def __init__(self, ledger: Ledger, committed: Committed) -> None:
        self._ledger = ledger
        self._committed = committed

    def store(self, message: Message) -> str:
        """Store a message with its line of the trail, and return its id once both are on disk.

        Raises:
            LedgerUnavailable: neither is stored.
        """
        number = new_id("m")
        data: dict[str, Json] = {
            "message": number,
            "sender": message.sender,
            "application": message.application,
            **message.about,
            "text": message.text,
        }
        event = Event("message.received", data)
        with self._ledger.write(LockMode.APPEND) as connection:
            now = self._ledger.now(connection)
            append_events(connection, now, [event])
            # Nobody else adds to the trail before the commit (see `lock_trail`).
            seq = connection.scalar(select(func.max(tables.audit_events.c.seq)))
            row = {"seq": seq, "at": now, "application": message.application}
            connection.execute(insert(tables.messages), row)
        self._committed(from_ms(now), [event])
        return number


def message_events(connection: Connection, sync: str, *, alone: bool = False) -> list[int]:
    """Return the ``seq`` of the trail's lines with the messages of a sync, in order.

    A message belongs to the sync of its Application whose time is nearest; to several if they
    are equally near, as one operation that was notified on two channels is two syncs. With
    ``alone``, those are left out that may be of another Application of that name.
    """
    span = _span(connection, sync)
    if span is None or (alone and _has_namesake(connection, sync, span.application)):
        return []
    m = tables.messages.c
    names = {span.application, span.application.rpartition("/")[2]}
    if alone:
        names = {span.application}
    found = connection.execute(
        select(m.seq, m.at)
        .where(m.application.in_(sorted(names)))
        .where(m.at.between(span.start - BEFORE_MS, span.end + AFTER_MS))
        .order_by(m.seq)
        .limit(MOST)
    ).all()
    others = _neighbours(connection, span) if found else []
    return [
        row.seq
        for row in found
        if not any(other.distance(row.at) < span.distance(row.at) for other in others)
    ]


def _span(connection: Connection, sync: str) -> Span | None:
    s = tables.syncs.c
    row = connection.execute(
        select(s.application, s.started_at, s.finished_at).where(s.id == sync)
    ).first()
    if row is None or row.started_at is None or row.finished_at is None:
        return None
    return Span(sync, row.application, _clamped(row.started_at), _clamped(row.finished_at))


def _has_namesake(connection: Connection, sync: str, application: str) -> bool:
    """Whether an Application of another sender has the same name; a message names no sender."""
    s = tables.syncs.c
    sender = select(s.sender).where(s.id == sync).scalar_subquery()
    others = select(s.id).where(s.application == application, s.sender != sender).limit(1)
    return connection.scalar(others) is not None


def _clamped(ms: int) -> int:
    """Return a time that can be added to: a stored one may be the largest number there is."""
    return max(-FAR_MS, min(ms, FAR_MS))


def _neighbours(connection: Connection, span: Span) -> list[Span]:
    """Return the other syncs of the Application that a message of this time may belong to."""
    s, reach = tables.syncs.c, BEFORE_MS + AFTER_MS
    rows = connection.execute(
        select(s.id, s.application, s.started_at, s.finished_at)
        .where(s.application == span.application, s.id != span.sync)
        .where(s.started_at <= span.end + reach, s.finished_at >= span.start - reach)
    )
    return [Span(*row) for row in rows]
