"""A run: one action for one target of a plan."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Select, select

from receiver.core.states import RunState, SkipCause
from receiver.core.storable import dumps
from receiver.ledger import tables
from receiver.ledger.engine.unit_of_work import Row


@dataclass(frozen=True, slots=True)
class Run:
    """A run, new or stored, without its parameters: those belong to whoever makes an attempt.

    ``target_index`` is the index of its target in the plan, None for batch and application.
    ``policy`` holds the retry, timeout and deadline of the action, in seconds, and ``expires`` if
    its runs are held no longer than that. ``flow`` is that of its plan. ``output``, None until it
    has ended, and ``handler_state`` are text of JSON: it is parsed where it is needed, so that a
    damaged one does not keep other runs from being read.
    """

    id: str
    plan: str
    sync: str
    rule: str
    flow: str
    section: str
    step: int
    action: str
    handler: str
    wave: int
    target: str
    target_index: int | None
    policy: Mapping[str, float]
    state: RunState = RunState.WAITING
    reason: str = ""
    skip_cause: SkipCause | None = None
    rendered: bool = False
    output: str | None = None
    handler_state: str | None = None
    attempts: int = 0
    key_number: int = 1

    @classmethod
    def from_row(cls, row: Any) -> Run:
        """Make it from a row of `select_runs`."""
        values = dict(zip(_FIELDS, row, strict=True))
        cause = values["skip_cause"]
        values.update(
            policy=_read_policy(values["policy"]),
            state=RunState(values["state"]),
            skip_cause=SkipCause(cause) if cause else None,
        )
        return cls(**values)


_read_policy = lru_cache(maxsize=256)(json.loads)
"""All runs of an action have the same."""

_FIELDS = tuple(Run.__dataclass_fields__)
_COLUMNS = {name: {"plan": "plan_id", "sync": "sync_id"}.get(name, name) for name in _FIELDS}


def select_runs() -> Select[Any]:
    """Return the query of all runs, to be narrowed."""
    return select(*(tables.runs.c[column] for column in _COLUMNS.values()))


def read_runs(connection: Connection, query: Select[Any]) -> list[Run]:
    """Return the runs that a query made from `select_runs` finds."""
    return [Run.from_row(row) for row in connection.execute(query)]


def run_row(run: Run) -> Row:
    """Return the columns of a run that a `Run` has."""
    row = {column: getattr(run, name) for name, column in _COLUMNS.items()}
    return row | {"policy": dumps(run.policy)}
