"""An operator says of a run that it may stay failed: nobody will retry it."""

from __future__ import annotations

from receiver.core.errors import StateConflict
from receiver.core.states import RunState
from receiver.ledger import tables
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.operations.common import Act, find_run, run_event


def acknowledge_run(uow: UnitOfWork, act: Act, run: str) -> None:
    """Count a failed run no longer among those that somebody has to look at.

    For its plan it stays a failure, and it can still be retried by its id.

    Raises:
        UnknownId: there is no such run.
        StateConflict: it has not failed.
    """
    found = find_run(uow, act, run)
    if found.state is not RunState.FAILED:
        raise StateConflict(
            f"run {run} is {found.state}; only one that failed is acknowledged",
            state=found.state, hint="GET /v1/runs?state=failed lists them",
        )  # fmt: skip
    uow.change(tables.runs, run, state=RunState.ACKNOWLEDGED.value)
    data = {**act.event_data, "was": found.reason}
    uow.events.append(run_event("run.acknowledged", found, data))
