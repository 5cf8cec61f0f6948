"""The leases of attempts under way, and what becomes of a run whose attempt was lost or not begun.

If the process is lost while it asks about a pending run, only the answer is: what the attempt has
started on the other side goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, select, text, update

from receiver.core.model import Event, OutcomeKind
from receiver.core.states import RunState
from receiver.ledger import tables
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.prepared import Prepared, any_of
from receiver.ledger.queue.attempts import update_attempt
from receiver.ledger.queue.claim import ClaimedRun, attempt_event


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


def claims_held(connection: Connection, owner: str, runs: Sequence[str]) -> dict[str, int]:
    """Return the claim's number of each of these runs that this owner still has."""
    return dict(_CLAIMS_HELD.all(connection, runs=runs, by=owner))


_R = tables.runs.c
_CLAIMS_HELD = Prepared(
    select(_R.id, _R.claims)
    .where(any_of(_R.id, "runs"), _R.state == RunState.RUNNING.value, _R.owner == bindparam("by"))
    .with_for_update()
)


def give_back(uow: UnitOfWork, owner: str, runs: Sequence[ClaimedRun], why: str) -> None:
    """Let others claim what this owner has claimed and not begun: it counts as no attempt."""
    held = claims_held(uow.connection, owner, [run.id for run in runs])
    for run in runs:
        if held.get(run.id) != run.claim:
            continue  # an operator has cancelled it, or it was taken over
        state = RunState.PENDING if run.pending else RunState.DUE
        uow.change(
            tables.runs, run.id, state=state.value, ready=True, owner=None, lease_until=None,
            attempts=run.attempt if run.pending else run.attempt - 1,
            # What others have the ledger say: it is shifted when the clock is set, or by a pause.
            **({"first_attempt_at": None} if run.fresh else {}),
        )  # fmt: skip
        if run.pending:
            uow.add(_LOST, _still_pending(run.id, run.attempt))
        else:
            uow.add(_NOT_BEGUN, {"run": run.id, "attempt": run.attempt})
            uow.events.append(attempt_event("attempt.returned", run, {"reason": why}))
    uow.flush()


_A = tables.attempts.c
_NOT_BEGUN = delete(tables.attempts).where(
    _A.run_id == bindparam("run"), _A.number == bindparam("attempt")
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
    if row.pending:
        return _still_pending(row.id, row.attempts)
    return {"run": row.id, "attempt": row.attempts, "ended": now, "how": "lost", "why": GONE}


def _still_pending(run: str, attempt: int) -> dict[str, Any]:
    how = OutcomeKind.PENDING.value
    return {"run": run, "attempt": attempt, "ended": None, "how": how, "why": ""}
