"""Reads back what is to be worked on: syncs to plan, and plans that are under way."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, bindparam, func, select, text

from receiver.core.states import SyncState
from receiver.ledger import tables
from receiver.ledger.binding import Binding
from receiver.ledger.plans.application_memory import read_recalled
from receiver.ledger.plans.plan import Plan, select_plans
from receiver.ledger.plans.records import PlannedSync, StoredPlan, StoredSync
from receiver.ledger.plans.run import Run, select_runs
from receiver.ledger.prepared import Prepared, any_of
from receiver.notification.recalled import Recalled

_S, _D, _P, _R = tables.syncs.c, tables.deliveries.c, tables.plans.c, tables.runs.c
_NEW = (
    select(_S.id, _S.delivery_id, _S.resources, _D.size)
    .join(tables.deliveries, _D.id == _S.delivery_id)
    .where(text(f"syncs.{tables.NEW_SYNC}"))
    .order_by(_S.id)
    .limit(bindparam("most"))
)
_STORED = Prepared(
    select(
        _S.id, _S.delivery_id, _S.sender, _S.channel, _S.received_at, _D.query, _D.body,
        _S.resources, _S.recalled,
    )
    .join(tables.deliveries, _D.id == _S.delivery_id)
    .where(any_of(_S.id, "syncs"))
)  # fmt: skip

MOST_RESOURCES = 10_000
MOST_BYTES = 8 << 20
"""What the syncs of one turn list together, and how large their notifications are: a resource that
was read costs some 2 KB, a body that was unpacked and parsed several times its size."""

MOST_RUNS = 20_000
"""Runs of the plans whose next steps one turn works out, together."""


@dataclass(frozen=True, slots=True)
class NewSync:
    """A sync that is not planned; its notification is not parsed yet, ``size`` is its bytes."""

    id: str
    delivery: str
    resources: int
    size: int


def new_syncs(
    connection: Connection,
    limit: int,
    without: Collection[str] = (),
    only: Collection[str] | None = None,
) -> list[NewSync]:
    """Return the oldest syncs to be planned: at least one, no more than one turn may cost."""
    query = among(_NEW, _S.id, without, only)
    found, resources, size = list[NewSync](), 0, 0
    for row in connection.execute(query, {"most": limit}):
        resources, size = resources + row.resources, size + row.size
        if found and (resources > MOST_RESOURCES or size > MOST_BYTES):
            break
        found.append(NewSync(row.id, row.delivery_id, row.resources, row.size))
    return found


def among(
    query: Select[Any],
    ids: ColumnElement[str],
    without: Collection[str],
    only: Collection[str] | None,
) -> Select[Any]:
    """Narrow a query to rows without these ids, and to those alone if they are given."""
    query = query.where(ids.not_in(without)) if without else query
    return query if only is None else query.where(ids.in_(only))


def stored_sync(connection: Connection, sync: str) -> StoredSync:
    """Read one sync back."""
    return stored_syncs(connection, [sync])[sync]()


def stored_syncs(
    connection: Connection, syncs: Sequence[str]
) -> dict[str, Callable[[], StoredSync]]:
    """Read syncs back by one statement; each is unpacked when it is called for."""
    return {row.id: partial(_unpacked, row) for row in _STORED.all(connection, syncs=syncs)}


def _unpacked(row: Any) -> StoredSync:
    return StoredSync(
        row.id, row.delivery_id, row.sender, row.channel, row.received_at, json.loads(row.query),
        zlib.decompress(row.body), row.resources, read_recalled(row.recalled),
    )  # fmt: skip


_TRACES = Prepared(
    select(_S.id, _S.trace, _S.application).where(any_of(_S.id, "syncs"), _S.trace.is_not(None))
)


def stored_traces(connection: Connection, syncs: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return the trace contexts of those syncs that have one, and their Applications."""
    return {row.id: (row.trace, row.application) for row in _TRACES.all(connection, syncs=syncs)}


_SIGNALLED = (
    select_plans()
    .add_columns(_S.recalled)
    .join(tables.syncs, _S.id == _P.sync_id)
    .where(text(tables.SIGNALLED_PLAN))
    .order_by(_P.id)
    .limit(bindparam("most"))
)
_RUNS = Prepared(
    select_runs().where(any_of(_R.plan_id, "plans")).order_by(_R.section, _R.step, _R.target_index)
)


def signalled_plans(
    connection: Connection,
    limit: int,
    without: Collection[str] = (),
    only: Collection[str] | None = None,
) -> list[StoredPlan]:
    """Return plans with signals that no step has consumed.

    They have no more runs together than one turn may step; there is at least one.
    """
    query = among(_SIGNALLED, _P.id, without, only)
    rows = _few(connection, connection.execute(query, {"most": limit}).all())
    plans = [(Plan.from_row(row[:-1]), row.recalled) for row in rows]
    collected = _collected(connection, [plan.id for plan, _ in plans if plan.collect_key])
    runs: dict[str, list[Run]] = {plan.id: [] for plan, _ in plans}
    for row in _RUNS.all(connection, plans=list(runs)):
        run = Run.from_row(row)
        runs[run.plan].append(run)
    return [
        StoredPlan(
            plan,
            collected.get(plan.id) or (PlannedSync(plan.sync, read_recalled(recalled)),),
            tuple(runs[plan.id]),
        )
        for plan, recalled in plans
    ]


_COUNTS = Prepared(
    select(_R.plan_id, func.count()).where(any_of(_R.plan_id, "plans")).group_by(_R.plan_id)
)


def _few(connection: Connection, rows: Sequence[Any]) -> Sequence[Any]:
    runs: dict[str, int] = dict(_COUNTS.all(connection, plans=[row.id for row in rows]))
    total = list(accumulate(runs.get(row.id, 0) for row in rows))
    return [row for row, sum_ in zip(rows, total, strict=True) if sum_ <= MOST_RUNS] or rows[:1]


def _collected(connection: Connection, plans: Sequence[str]) -> dict[str, tuple[PlannedSync, ...]]:
    """The syncs of each of these plans, in the order in which they finished."""
    m, s = tables.plan_syncs, tables.syncs
    query = (
        select(m.c.plan_id, s.c.id, s.c.recalled)
        .join(s, s.c.id == m.c.sync_id)
        .where(m.c.plan_id.in_(plans))
        .order_by(m.c.sync_finished_at, m.c.sync_id)
    )
    found: dict[str, tuple[PlannedSync, ...]] = {}
    for row in connection.execute(query) if plans else ():
        planned = PlannedSync(row.id, read_recalled(row.recalled))
        found[row.plan_id] = (*found.get(row.plan_id, ()), planned)
    return found


def planned_with(connection: Connection, sync: str) -> tuple[str | None, Recalled]:
    """Return a sync's rule set, None if it was not planned, and what was recalled for it."""
    s = tables.syncs
    query = select(s.c.rule_set, s.c.state, s.c.recalled).where(s.c.id == sync)
    row = connection.execute(query).one_or_none()
    if row is None or row.state != SyncState.PLANNED.value:
        return None, Recalled()
    return row.rule_set, read_recalled(row.recalled)


def sets_of_plans(connection: Connection, sync: str, binding: Binding) -> list[str]:
    """Return the rule sets of tenants that a sync has plans of, each once; those of one's own."""
    own = binding.of_rules(_P.rule)
    query = select(_P.rule_set).where(_P.sync_id == sync, _P.rule.contains("/"), *own)
    query = query.distinct().order_by(_P.rule_set)
    return list(connection.scalars(query))
