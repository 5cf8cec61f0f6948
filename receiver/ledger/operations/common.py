"""Who does something, and what it is done to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import select

from receiver.core.errors import UnknownId
from receiver.core.model import Event, Json
from receiver.ledger import tables
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.queries.row_mapping import read_one
from receiver.ledger.queries.rows import ActedRun, Plan


@dataclass(frozen=True, slots=True)
class Act:
    """By whom (the name of the token), and why, "" if nobody said."""

    by: str
    reason: str = ""

    @property
    def told(self) -> dict[str, Json]:
        """What the trail says of it."""
        return {"by": self.by, **({"reason": self.reason} if self.reason else {})}

    def why(self, done: str) -> str:
        """Return the reason of a state that this act has made: ``cancelled by ann: too late``."""
        return f"{done} by {self.by}" + (f": {self.reason}" if self.reason else "")


def find_run(uow: UnitOfWork, run: str) -> Any:
    """Return a run's row.

    Raises:
        UnknownId: there is no such run.
    """
    return _find(uow, tables.runs, "run", run)


def find_plan(uow: UnitOfWork, plan: str) -> Any:
    """Return a plan's row.

    Raises:
        UnknownId: there is no such plan.
    """
    return _find(uow, tables.plans, "plan", plan)


def find_sync(uow: UnitOfWork, sync: str) -> Any:
    """Return a sync's row.

    Raises:
        UnknownId: there is no such sync.
    """
    return _find(uow, tables.syncs, "sync", sync)


def _find(uow: UnitOfWork, table: Any, kind: str, wanted: str) -> Any:
    query = select(table).where(table.c.id == wanted)
    return _known(uow.connection.execute(query).one_or_none(), kind, wanted)


def acted_run(uow: UnitOfWork, run: str) -> ActedRun:
    """Return a run as the answer to an act shows it, after the act, in the words of lists."""
    uow.flush()
    return _known(read_one(uow.connection, tables.runs, run, ActedRun), "run", run)


def acted_plan(uow: UnitOfWork, plan: str) -> Plan:
    """Return a plan as the answer to an act shows it, after the act."""
    uow.flush()
    return _known(read_one(uow.connection, tables.plans, plan, Plan), "plan", plan)


R = TypeVar("R")


def _known(row: R | None, kind: str, wanted: str) -> R:
    if row is None:
        raise UnknownId(kind, wanted)
    return row


def run_event(name: str, row: Any, data: dict[str, Json]) -> Event:
    """Tell of a run, in the words that every line about a run has."""
    about = {"rule": row.rule, "action": row.action, "handler": row.handler, "target": row.target}
    return Event(name, {**about, **data}, sync=row.sync_id, plan=row.plan_id, run=row.id)


def plan_event(name: str, row: Any, data: dict[str, Json]) -> Event:
    """Tell of a plan."""
    return Event(name, {"rule": row.rule, **data}, sync=row.sync_id, plan=row.id)
