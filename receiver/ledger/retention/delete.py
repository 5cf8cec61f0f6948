"""Deletes from the ledger, a bounded number of rows with each call.

A sync is deleted with its deliveries, plans, runs, attempts and lines of the trail; with an
Application's last sync, so is what is remembered of the Application. The trail's newest line always
stays, since SQLite would give its ``seq`` to the next one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    and_,
    delete,
    exists,
    func,
    or_,
    select,
    text,
)

from receiver.ledger import tables
from receiver.ledger.audit.key_values import RULES, get_value
from receiver.ledger.plans.application_memory import delete_memories
from receiver.ledger.retention.policy import ROWS, Limits, still_deletable

SETTLING_MS = 3_600_000
"""How long no rule set is deleted after a change of the rules: one may still plan by the last."""

Counts = Counter[str]
"""Deleted rows by table."""


def delete_syncs(connection: Connection, syncs: Sequence[str], limit: Limits) -> Counts:
    """Delete those of the syncs that may still be deleted, with all that belongs to them."""
    ids = still_deletable(connection, syncs, limit)
    if not ids:
        return Counts()
    plans = select(tables.plans.c.id).where(tables.plans.c.sync_id.in_(ids))
    runs = select(tables.runs.c.id).where(tables.runs.c.plan_id.in_(plans))
    counts = Counts()
    s = tables.syncs.c
    owners = select(s.sender, s.channel, s.application).where(s.id.in_(ids)).distinct()
    keys = [(row.sender, row.channel, row.application) for row in connection.execute(owners)]
    for table, which in (
        (tables.attempts, tables.attempts.c.run_id.in_(runs)),
        (tables.runs, tables.runs.c.plan_id.in_(plans)),
        (tables.plan_syncs, tables.plan_syncs.c.plan_id.in_(plans)),
        (tables.plans, tables.plans.c.sync_id.in_(ids)),
        (tables.replays, tables.replays.c.sync_id.in_(ids)),
        (tables.deliveries, tables.deliveries.c.sync_id.in_(ids)),
        (tables.audit_events, tables.audit_events.c.sync_id.in_(ids)),
        (tables.syncs, tables.syncs.c.id.in_(ids)),
    ):
        counts += _delete(connection, table, which)
    connection.execute(delete(tables.reaches).where(tables.reaches.c.sync_id.in_(ids)))
    delete_memories(connection, keys)
    return counts


def old_refused(connection: Connection, limit: Limits) -> Sequence[str]:
    """Choose refused deliveries that are old."""
    d = tables.deliveries.c
    old = select(d.id).where(d.sync_id.is_(None), d.received_at < limit.before)
    return connection.scalars(old.order_by(d.received_at).limit(ROWS)).all()


REFUSED_KEPT = 1_000
"""Refused notifications that are kept of one sender."""


def surplus_refused(connection: Connection, _: Limits) -> Sequence[str]:
    """Choose refused deliveries of a sender that has newer ones enough."""
    d = tables.deliveries.c
    newest = func.row_number().over(partition_by=d.sender, order_by=d.id.desc())
    ranked = select(d.id, newest.label("place")).where(d.sync_id.is_(None)).subquery()
    surplus = select(ranked.c.id).where(ranked.c.place > REFUSED_KEPT)
    return connection.scalars(surplus.limit(ROWS)).all()


LINES_KEPT = 1_000_000
"""Lines of the trail that belong to no sync and are kept: a sender may be refused all day."""


def surplus_lines(connection: Connection, _: Limits) -> Sequence[int]:
    """Choose lines of the trail that belong to no sync, of which there are newer ones enough."""
    e = tables.audit_events.c
    alone = select(e.seq).where(e.sync_id.is_(None)).order_by(e.at.desc())
    return connection.scalars(alone.offset(LINES_KEPT).limit(ROWS)).all()


IDLE_MS = 86_400_000
"""How long a lane is idle until its bucket, which is full by then, is deleted."""

WEEK_MS = 604_800_000
"""How long values are kept at least that nobody has asked for: the rules are looked at once a day,
and a connection may be away."""


def has_idle(connection: Connection, limit: Limits) -> bool:
    """Whether there is anything that `delete_idle` would delete; takes no lock."""
    return any(
        connection.scalar(select(table).where(which).exists().select())
        for table, which in _idle(limit)
    )


def delete_idle(connection: Connection, limit: Limits) -> None:
    """Delete what is of no use any more.

    Full buckets, lifted blocks, planning attempts that have ended, missed operations too old to be
    looked for again, values of fields that nobody asks for, windows of a throttle that have ended.
    """
    for table, which in _idle(limit):
        connection.execute(delete(table).where(which))


def _idle(limit: Limits) -> tuple[tuple[Table, ColumnElement[bool]], ...]:
    homes = (tables.syncs.c.id, tables.plans.c.id, tables.replays.c.id)
    windows, p = tables.throttle_windows.c, tables.plans.c
    collects = exists().where(p.collect_key == windows.collect_key, text(tables.COLLECTING_PLAN))
    planned = or_(*(exists().where(home == tables.planning_attempts.c.id) for home in homes))
    return (
        (tables.buckets, tables.buckets.c.at < limit.now - IDLE_MS),
        (tables.lanes, tables.lanes.c.blocked_until < limit.now - IDLE_MS),
        (tables.field_values, tables.field_values.c.at < min(limit.before, limit.now - WEEK_MS)),
        (tables.throttle_windows, and_(windows.ends_at < limit.now, ~collects)),
        (tables.missed_operations, tables.missed_operations.c.at < limit.before),
        (tables.planning_attempts, ~planned),
    )


def delete_refused(connection: Connection, deliveries: Sequence[str], _: Limits) -> Counts:
    """Delete refused deliveries."""
    return _delete(connection, tables.deliveries, tables.deliveries.c.id.in_(deliveries))


def old_lines(connection: Connection, limit: Limits) -> Sequence[int]:
    """Choose old lines of the trail that belong to no sync, by their numbers."""
    e = tables.audit_events.c
    newest = select(func.max(e.seq)).scalar_subquery()
    old = select(e.seq).where(e.sync_id.is_(None), e.at < limit.before, e.seq != newest)
    return connection.scalars(old.order_by(e.at).limit(ROWS)).all()


def delete_lines(connection: Connection, numbers: Sequence[int], _: Limits) -> Counts:
    """Delete lines of the trail, and the hooks' messages of them."""
    messages = _delete(connection, tables.messages, tables.messages.c.seq.in_(numbers))
    lines = _delete(connection, tables.audit_events, tables.audit_events.c.seq.in_(numbers))
    return messages + lines


def unused_rule_sets(connection: Connection, limit: Limits) -> Sequence[str]:
    """Choose rule sets that nothing refers to; never one in force, none soon after a change."""
    in_force = get_value(connection, RULES) or {}
    if limit.now - (in_force.get("loadedAt") or limit.now) < SETTLING_MS:
        return ()
    r, p, s, c = tables.rule_sets.c, tables.plans.c, tables.syncs.c, tables.custom_rules.c
    unused = select(r.digest).where(
        r.digest != in_force.get("digest"),
        r.loaded_at < limit.now - SETTLING_MS,
        ~exists().where(c.digest.is_not(None), c.digest == r.digest),
        ~exists().where(p.rule_set == r.digest),
        ~exists().where(s.rule_set == r.digest),
    )
    return connection.scalars(unused.limit(ROWS)).all()


def delete_rule_sets(connection: Connection, digests: Sequence[str], limit: Limits) -> Counts:
    """Delete those of the rule sets that nothing refers to still."""
    unused = set(digests).intersection(unused_rule_sets(connection, limit))
    return _delete(connection, tables.rule_sets, tables.rule_sets.c.digest.in_(unused))


def count_alone(connection: Connection, limit: Limits) -> dict[str, int]:
    """Count what is old and belongs to no sync: refused notifications, and lines of the trail."""
    d, e = tables.deliveries.c, tables.audit_events.c
    refused = select(func.count()).where(d.sync_id.is_(None), d.received_at < limit.before)
    lines = select(func.count()).where(e.sync_id.is_(None), e.at < limit.before)
    return {
        "refused": connection.execute(refused).scalar_one(),
        "events": connection.execute(lines).scalar_one(),
    }


def _delete(connection: Connection, table: Table, which: ColumnElement[bool]) -> Counts:
    return +Counts({table.name: connection.execute(delete(table).where(which)).rowcount})
