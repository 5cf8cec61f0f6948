"""Who acts, and the runs, plans and syncs that are acted upon."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import select

from receiver.core.errors import UnknownId
from receiver.core.model import Event, Json
from receiver.core.states import SyncState
from receiver.ledger import tables
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.plans.plan import Plan, read_plans, select_plans
from receiver.ledger.plans.run import Run, read_runs, select_runs
from receiver.ledger.queries.row_mapping import read_one
from receiver.ledger.queries.rows import ActedPlan, ActedRun


@dataclass(frozen=True, slots=True)
class Act:
    """By whom (the name of the token), and why, "" if no reason was given."""

    by: str
    reason: str = ""

    @property
    def event_data(self) -> dict[str, Json]:
        """What each event of the act has."""
        return {"by": self.by, **({"reason": self.reason} if self.reason else {})}

    def reason_for(self, done: str) -> str:
        """Return the reason of a state that this act has made: ``cancelled by ann: too late``."""
        return f"{done} by {self.by}" + (f": {self.reason}" if self.reason else "")


def find_run(uow: UnitOfWork, run: str) -> Run:
    """Return a run.

    Raises:
        UnknownId: there is no such run.
    """
    found = read_runs(uow.connection, select_runs().where(tables.runs.c.id == run))
    return _known(next(iter(found), None), "run", run)


def find_plan(uow: UnitOfWork, plan: str) -> Plan:
    """Return a plan.

    Raises:
        UnknownId: there is no such plan.
    """
    found = read_plans(uow.connection, select_plans().where(tables.plans.c.id == plan))
    return _known(next(found, None), "plan", plan)


def find_sync_state(uow: UnitOfWork, sync: str) -> SyncState:
    """Return the state of a sync.

    Raises:
        UnknownId: there is no such sync.
    """
    s = tables.syncs.c
    return SyncState(
        _known(uow.connection.scalar(select(s.state).where(s.id == sync)), "sync", sync)
    )


def acted_run(uow: UnitOfWork, run: str) -> ActedRun:
    """Return a run as the answer to an act shows it, after the act, in the words of lists."""
    uow.flush()
    return _known(read_one(uow.connection, tables.runs, run, ActedRun), "run", run)


def acted_plan(uow: UnitOfWork, plan: str) -> ActedPlan:
    """Return a plan as the answer to an act shows it, after the act."""
    uow.flush()
    return _known(read_one(uow.connection, tables.plans, plan, ActedPlan), "plan", plan)


R = TypeVar("R")


def _known(row: R | None, kind: str, wanted: str) -> R:
    if row is None:
        raise UnknownId(kind, wanted)
    return row


def run_event(name: str, run: Run, data: dict[str, Json]) -> Event:
    """Return an event about a run, in the words that every line about a run has."""
    about = {"rule": run.rule, "action": run.action, "handler": run.handler, "target": run.target}
    return Event(name, {**about, **data}, sync=run.sync, plan=run.plan, run=run.id)
