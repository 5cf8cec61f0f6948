"""Keeps the leases of attempts under way, and says what becomes of an attempt that was lost."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, select, text, update

from receiver.ledger import tables
from receiver.ledger.batch import Batch
from receiver.model import Event, RunState


def renew(connection: Connection, now: int, owner: str, lease: int, runs: Sequence[str]) -> None:
    """Renew the leases of the runs that the owner still works on."""
    r = tables.runs
    for start in range(0, len(runs), 500):
        connection.execute(
            update(r)
            .where(
                r.c.id.in_(runs[start : start + 500]),
                r.c.owner == owner,
                text("state = 'running'"),
            )
            .values(lease_until=now + lease)
        )


def release_lost(batch: Batch, *, alone: str = "") -> None:
    """Make attempts due again whose owner is gone; their idempotency key stays.

    Args:
        batch: of a writing transaction; it gets the trail's lines.
        alone: an owner that knows itself to be the only one (it holds the instance lock):
            then every other owner is gone, whatever its lease says.
    """
    connection, now = batch.connection, batch.now
    r = tables.runs
    gone = r.c.owner != alone if alone else r.c.lease_until < now
    rows = connection.execute(
        select(r.c.id, r.c.plan_id, r.c.sync_id, r.c.attempts, r.c.owner)
        .where(text("state = 'running'"), gone)
        .with_for_update(skip_locked=True)
    ).all()
    if not rows:
        return
    connection.execute(
        update(r)
        .where(r.c.id == bindparam("run"))
        .values(state=RunState.DUE.value, ready=True, owner=None, lease_until=None, due_at=now),
        [{"run": row.id} for row in rows],
    )
    connection.execute(
        update(tables.attempts)
        .where(
            tables.attempts.c.run_id == bindparam("run"),
            tables.attempts.c.number == bindparam("attempt"),
        )
        .values(ended_at=now, outcome="lost", reason="its process ended or fell silent"),
        [{"run": row.id, "attempt": row.attempts} for row in rows],
    )
    batch.events += [
        Event(
            "attempt.lost",
            {"owner": row.owner},
            sync=row.sync_id,
            plan=row.plan_id,
            run=row.id,
            attempt=row.attempts,
        )
        for row in rows
    ]
