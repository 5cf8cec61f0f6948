"""A plan as the ledger has it: one rule applied to one sync, or to several with `debounce`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from sqlalchemy import Connection, Select, insert, select

from receiver.core.model import Event, Json
from receiver.core.states import PlanState
from receiver.core.storable import dumps
from receiver.ledger import tables
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.plans.awaited import Awaited

Target = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Gate:
    """How a plan waits for its resources to be healthy (`waitFor`).

    Attributes:
        longest: milliseconds.
        otherwise: what becomes of it then: ``fail`` or ``go``.
        asked: an operator's replay wants it, whatever operations came since.
    """

    longest: int
    otherwise: Literal["fail", "go"]
    asked: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """A row of the table ``plans``, which says what each field is; times in milliseconds.

    ``sync`` is the newest sync of the plan. ``targets`` are ``{index, resource, reason}``, of a
    plan that collects syncs also ``{sync, sender, application}``.
    """

    id: str
    sync: str
    rule_set: str
    rule: str
    application: str
    mode: str
    state: PlanState
    reason: str
    targets: Sequence[Target]
    concurrency_key: str | None
    concurrency_limit: int | None
    queue_position: int | None
    hold_above: int | None
    failure: str | None
    gate: Gate | None
    awaited: Awaited | None
    series: str | None
    sync_finished_at: int
    newer_plan: str | None
    newer_sync: str | None
    collect_key: str | None
    due_at: int | None
    signals: int
    created_at: int
    ended_at: int | None
    held_at: int | None = None

    @property
    def newer(self) -> tuple[str, str] | None:
        """The plan and the sync that supersede it, if any do."""
        return (self.newer_plan, self.newer_sync or "") if self.newer_plan else None

    @property
    def order(self) -> tuple[int, str, str]:
        """The newest of several plans is the one with the greatest."""
        return self.sync_finished_at, self.sync, self.id

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Plan:
        """Make it from a row of `select_plans`."""
        values = dict(zip(_FIELDS, row, strict=True))
        values |= {"state": PlanState(values["state"]), "targets": json.loads(values["targets"])}
        values["gate"] = values["gate"] and Gate(**json.loads(values["gate"]))
        values["awaited"] = values["awaited"] and Awaited.read(values["awaited"])
        return cls(**values)

    def event(self, name: str, data: dict[str, Json]) -> Event:
        """Return an event about it."""
        return Event(name, {"rule": self.rule, **data}, sync=self.sync, plan=self.id)


_FIELDS = tuple(Plan.__dataclass_fields__)
_COLUMNS = {name: {"sync": "sync_id"}.get(name, name) for name in _FIELDS}
_INSERT = insert(tables.plans)


def select_plans() -> Select[Any]:
    """Return the query of all plans, to be narrowed."""
    return select(*(tables.plans.c[column] for column in _COLUMNS.values()))


def read_plans(connection: Connection, query: Select[Any]) -> Iterator[Plan]:
    """Yield the plans that a query made from `select_plans` finds."""
    return map(Plan.from_row, connection.execute(query))


def insert_plan(uow: UnitOfWork, plan: Plan) -> None:
    """Store a new plan."""
    row = {column: getattr(plan, name) for name, column in _COLUMNS.items()}
    written = {
        "state": plan.state.value,
        "targets": dumps(plan.targets),
        "gate": plan.gate and dumps(asdict(plan.gate)),
        "awaited": plan.awaited and plan.awaited.written,
    }
    uow.add(_INSERT, row | written)
