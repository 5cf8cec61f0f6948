"""Chooses the syncs that are deleted, by their age and by their number.

A sync stays while one of its plans is open or to be made anew, and while a plan of a newer sync
covers it as well. A deleted sync that is notified again is no duplicate any more; so it stays,
however many there are, until it is too old to be acted upon.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from sqlalchemy import Connection, Select, exists, func, or_, select, text

from receiver.core.states import OPEN_PLANS, UNPLANNED_SYNCS
from receiver.ledger import tables
from receiver.ledger.audit.trail import labels
from receiver.ledger.inbox.deliveries import WEAK_WINDOW

EXAMINED = 200
"""Syncs that one slice examines."""

ROWS = 2_000
"""Lines of the trail that the syncs of one slice have; each run has some. One sync is never split:
its runs were also stored by one transaction."""

PRUNED = "pruned_total"


@dataclass(frozen=True, slots=True)
class Policy:
    """How much is kept.

    Attributes:
        keep_for: seconds after which what has ended is deleted; longer than ``max_age``.
        keep_syncs: how many syncs stay; of more, the oldest are deleted before their time.
        max_age: seconds after which a sync is not acted upon, so that it need not be known.
    """

    keep_for: float
    keep_syncs: int
    max_age: float


@dataclass(frozen=True, slots=True)
class Limits:
    """A policy at one moment; times in milliseconds.

    Attributes:
        now: the moment.
        before: what ended earlier is deleted.
        spare: what ended earlier is deleted if there are too many syncs.
        surplus: how many syncs there are too many.
    """

    now: int
    before: int
    spare: int
    surplus: int

    @property
    def reach(self) -> int:
        """What ended later is not deleted."""
        return max(self.before, self.spare) if self.surplus else self.before


@dataclass(frozen=True, slots=True)
class Examined:
    """Of some syncs those to delete, and the last one that was examined.

    ``last`` is None if none after it may be deleted.
    """

    syncs: tuple[str, ...]
    last: str | None
    examined: int


def limits(connection: Connection, now: int, policy: Policy) -> Limits:
    """Return a policy's limits now."""
    unknowable = int(policy.max_age * 1000 + WEAK_WINDOW.total_seconds() * 1000)
    surplus = max(0, count_syncs(connection) - policy.keep_syncs)
    return Limits(now, now - int(policy.keep_for * 1000), now - unknowable, surplus)


def count_syncs(connection: Connection) -> int:
    """Return how many syncs there are, from the counters: a count reads the whole table."""
    c = tables.counters.c
    stored = [labels(event=event) for event in ("notification.accepted", "sync.recovered")]
    counted = {
        name: connection.scalar(select(func.sum(c.value)).where(c.name == name, c.labels.in_(keys)))
        for name, keys in (("events_total", stored), (PRUNED, [labels(table="syncs")]))
    }
    return int((counted["events_total"] or 0) - (counted[PRUNED] or 0))


def examine(connection: Connection, limit: Limits, after: str = "") -> Examined:
    """Examine the oldest syncs after this one, and choose as many as one slice may delete."""
    s = tables.syncs.c
    rows = connection.execute(
        _deletable_query().where(s.id > after).order_by(s.id).limit(EXAMINED)
    ).all()
    e = tables.audit_events.c
    # The sync of the trail's newest line stays: its number must not be used anew.
    newest = connection.scalar(select(e.sync_id).order_by(e.seq.desc()).limit(1))
    chosen, surplus = [], limit.surplus
    for row in rows:
        if row.busy or row.id == newest:
            continue
        ended = _end(row)
        if ended < limit.before or (surplus > 0 and ended < limit.spare):
            chosen.append(row.id)
            surplus -= 1
    taken = _bounded(connection, chosen)
    if len(taken) < len(chosen):
        return Examined(taken, taken[-1], [row.id for row in rows].index(taken[-1]) + 1)
    more = len(rows) == EXAMINED and rows[-1].received_at < limit.reach
    return Examined(taken, rows[-1].id if more else None, len(rows))


def _deletable_query() -> Select[Any]:
    s, p, m = tables.syncs.c, tables.plans.c, tables.plan_syncs.c
    mine, joined = p.sync_id == s.id, tables.plan_syncs.join(tables.plans, p.id == m.plan_id)
    newer = exists().select_from(joined).where(m.sync_id == s.id, p.sync_id != s.id)
    busy = or_(
        s.state.in_(UNPLANNED_SYNCS), exists().where(mine, p.state.in_(OPEN_PLANS)),
        newer.correlate(tables.syncs),
        exists().where(tables.replays.c.sync_id == s.id, text(tables.ASKED_REPLAY)),
    )  # fmt: skip
    ended = select(func.max(p.ended_at)).where(mine).scalar_subquery()
    return select(s.id, s.received_at, s.finished_at, ended.label("ended_at"), busy.label("busy"))


def _end(row: Any) -> int:
    """Return when the last thing happened to a sync; by its own clock it may have come later."""
    return max(int(row.received_at), row.finished_at or 0, row.ended_at or 0)


def _bounded(connection: Connection, syncs: Sequence[str]) -> tuple[str, ...]:
    e = tables.audit_events.c
    query = select(e.sync_id, func.count()).where(e.sync_id.in_(syncs)).group_by(e.sync_id)
    lines = {row[0]: int(row[1]) for row in connection.execute(query)}
    total = accumulate(lines.get(sync, 0) for sync in syncs)
    few = [sync for sync, rows in zip(syncs, total, strict=True) if rows <= ROWS]
    return tuple(few or syncs[:1])


def still_deletable(connection: Connection, syncs: Sequence[str], limit: Limits) -> list[str]:
    """Return those of the syncs that may still be deleted, in the transaction that deletes them."""
    rows = connection.execute(_deletable_query().where(tables.syncs.c.id.in_(syncs)))
    return [row.id for row in rows if not row.busy and _end(row) < limit.reach]
