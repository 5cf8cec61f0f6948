"""Held runs expire: what nobody approves in time is cancelled, and that is told before.

It is a stage of the turn that plans, which excludes operators and all others who plan: each is
done once, and what was approved or cancelled meanwhile is not seen here.
"""

from __future__ import annotations

from sqlalchemy import bindparam, text

from receiver.contract.durations import duration_text
from receiver.core.model import from_ms, rfc3339
from receiver.core.states import RunState
from receiver.ledger import tables
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.operations.cancel import cancel_found
from receiver.ledger.operations.common import Act, run_event
from receiver.ledger.plans.run import Run, select_runs
from receiver.ledger.plans.signals import signal

BY = "Postsync itself"
"""Who has cancelled it, on the trail; no token has a name with a space."""

RUNS = 1_000
"""Runs after which a transaction begins with no further plan: the next one takes the rest."""

_DUE = text(
    f"SELECT plan_id FROM runs WHERE {tables.EXPIRING_RUN} AND expiry_due_at <= :now "
    f"ORDER BY expiry_due_at LIMIT {RUNS}"
)
_R = tables.runs.c
_OF_PLAN = (
    select_runs()
    .add_columns(_R.held_at, _R.expires_at)
    .where(
        _R.plan_id == bindparam("plan"), _R.state == RunState.HELD.value,
        _R.expiry_due_at <= bindparam("now"),
    )
    .order_by(_R.expires_at, _R.step, _R.target_index)
)  # fmt: skip


def expire_held(uow: UnitOfWork) -> None:
    """Cancel the runs whose time is over; of those whose time is soon, write that on the trail.

    From there it is told, as a hold is, see `receiver.ledger.inbox.own_notifications`.
    """
    uow.flush()
    taken, due = 0, uow.connection.scalars(_DUE, {"now": uow.now}).all()
    for plan in dict.fromkeys(due):
        rows = uow.connection.execute(_OF_PLAN, {"plan": plan, "now": uow.now}).all()
        for *found, held_at, expires_at in rows:
            run = Run.from_row(found)
            if expires_at <= uow.now:
                _expire(uow, run)
            else:
                _warn(uow, run, held_at, expires_at)
        taken += len(rows)
        if taken >= RUNS:
            break


def _expire(uow: UnitOfWork, run: Run) -> None:
    why = f"nobody approved it within {duration_text(run.policy['expires'])}"
    cancel_found(uow, Act(BY, why), [run])
    signal(uow, run.plan)


def _warn(uow: UnitOfWork, run: Run, held_at: int, expires_at: int) -> None:
    uow.change(tables.runs, run.id, expiry_due_at=expires_at)
    since, expires = (rfc3339(from_ms(at)) for at in (held_at, expires_at))
    data = {"reason": run.reason, "since": since, "expires": expires}
    uow.events.append(run_event("run.expiring", run, {**data}))
