"""Who acts, and the runs, plans and syncs that are acted upon."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import select

from receiver.core.errors import UnknownId
from receiver.core.model import Event, Json
from receiver.core.states import SyncState
from receiver.ledger import tables
from receiver.ledger.binding import UNBOUND, Binding
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.plans.plan import Plan, read_plans, select_plans
from receiver.ledger.plans.run import Run, read_runs, select_runs
from receiver.ledger.queries.row_mapping import read_one
from receiver.ledger.queries.rows import ActedPlan, ActedRun


@dataclass(frozen=True, slots=True)
class Act:
    """By whom (the name of the token), and why, "" if no reason was given.

    ``binding`` says what the token may act on.
    """

    by: str
    reason: str = ""
    binding: Binding = UNBOUND

    @property
    def event_data(self) -> dict[str, Json]:
        """What each event of the act has."""
        return {"by": self.by, **({"reason": self.reason} if self.reason else {})}

    def reason_for(self, done: str) -> str:
        """Return the reason of a state that this act has made: ``cancelled by ann: too late``."""
        return f"{done} by {self.by}" + (f": {self.reason}" if self.reason else "")


def find_run(uow: UnitOfWork, act: Act, run: str) -> Run:
    """Return a run.

    Raises:
        UnknownId: there is no such run.
    """
    r = tables.runs.c
    query = select_runs().where(r.id == run, *act.binding.of_rules(r.rule))
    found = read_runs(uow.connection, query)
    return _known(next(iter(found), None), "run", run)


def find_plan(uow: UnitOfWork, act: Act, plan: str) -> Plan:
    """Return a plan.

    Raises:
        UnknownId: there is no such plan.
    """
    p = tables.plans.c
    query = select_plans().where(p.id == plan, *act.binding.of_rules(p.rule))
    found = read_plans(uow.connection, query)
    return _known(next(found, None), "plan", plan)


def find_sync_state(uow: UnitOfWork, act: Act, sync: str) -> SyncState:
    """Return the state of a sync.

    Raises:
        UnknownId: there is no such sync.
    """
    s = tables.syncs.c
    query = select(s.state).where(s.id == sync, *act.binding.of_syncs(s.id))
    return SyncState(_known(uow.connection.scalar(query), "sync", sync))


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
