"""The leases of attempts under way, and what becomes of a run whose attempt was lost.

If the process is lost while it asks about a pending run, only the answer is: what the attempt has
started on the other side goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, select, text, update

from receiver.core.model import Event, OutcomeKind
from receiver.core.states import RunState
from receiver.ledger import tables
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.queue.attempts import update_attempt


def renew(connection: Connection, now: int, owner: str, lease: int, runs: Sequence[str]) -> None:
    """Renew the leases of the runs that the owner still works on."""
    r = tables.runs
    for start in range(0, len(runs), 500):
        connection.execute(
            update(r)
            .where(
                r.c.id.in_(runs[start : start + 500]), r.c.owner == owner, text(tables.RUNNING_RUN)
            )
            .values(lease_until=now + lease)
        )


def release_lost(uow: UnitOfWork, *, alone: str = "") -> None:
    """Make attempts due, or asked, again whose owner is gone; their idempotency key stays.

    Args:
        uow: of a writing transaction; it gets the trail's lines.
        alone: the only owner there is, since it holds the instance lock: then every other one is
            gone, even if its lease has not expired.
    """
    r, a = tables.runs, tables.attempts
    gone = r.c.owner != alone if alone else r.c.lease_until < uow.now
    newest = (a.c.run_id == r.c.id) & (a.c.number == r.c.attempts)
    rows = uow.connection.execute(
        select(r.c.id, r.c.plan_id, r.c.sync_id, r.c.attempts, r.c.owner, a.c.pending)
        .join(a, newest)
        .where(text(tables.RUNNING_RUN), gone)
        .with_for_update(skip_locked=True, of=r)
    ).all()
    for row in rows:
        state = RunState.PENDING if row.pending else RunState.DUE
        uow.change(
            r, row.id, state=state.value, ready=True, owner=None, lease_until=None, due_at=uow.now
        )
        uow.add(_LOST, _lost(row, uow.now))
        uow.events.append(_event(row))
    uow.flush()


def _event(row: Any) -> Event:
    ids = {"sync": row.sync_id, "plan": row.plan_id, "run": row.id, "attempt": row.attempts}
    if row.pending:
        return Event(
            "attempt.pending", {"owner": row.owner, "reason": f"{GONE} while it asked"}, **ids
        )
    return Event("attempt.lost", {"owner": row.owner}, **ids)


GONE = "its process ended or fell silent"

_LOST = update_attempt(
    ended_at=bindparam("ended"), outcome=bindparam("how"), reason=bindparam("why")
)


def _lost(row: Any, now: int) -> dict[str, Any]:
    named = {"run": row.id, "attempt": row.attempts}
    if row.pending:
        return named | {"ended": None, "how": OutcomeKind.PENDING.value, "why": ""}
    return named | {"ended": now, "how": "lost", "why": GONE}
