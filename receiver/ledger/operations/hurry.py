"""An operator has a run tried, or asked about, at once that waits for a later time."""

from __future__ import annotations

from sqlalchemy import select

from receiver.core.errors import StateConflict
from receiver.core.model import from_ms, rfc3339
from receiver.core.states import RunState, Trait
from receiver.ledger import tables
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.operations.common import Act, find_run, run_event

HINTS = {
    RunState.FAILED: "it has failed for good: POST /v1/runs/{run}/retry",
    RunState.CANCELLED: "POST /v1/runs/{run}/retry begins it again",
    RunState.HELD: "it waits to be approved: POST /v1/runs/{run}/approve",
}
OTHERWISE = "GET /v1/runs/{run} tells what it waits for"


def hurry_run(uow: UnitOfWork, act: Act, run: str) -> None:
    """Make a run due now that waits for its next attempt, or to be asked about again.

    Raises:
        UnknownId: there is no such run.
        StateConflict: no time is what it waits for.
    """
    found = find_run(uow, act, run)
    due_at = uow.connection.scalar(select(tables.runs.c.due_at).where(tables.runs.c.id == run))
    if not found.state.has(Trait.CLAIMABLE) or due_at is None or due_at <= uow.now:
        raise StateConflict(
            f"run {run} is {found.state}, and waits for no time", state=found.state,
            hint=HINTS.get(found.state, OTHERWISE).format(run=run),
        )  # fmt: skip
    uow.change(tables.runs, run, due_at=uow.now)
    was = rfc3339(from_ms(due_at))
    uow.events.append(run_event("run.hurried", found, {**act.event_data, "was": was}))
