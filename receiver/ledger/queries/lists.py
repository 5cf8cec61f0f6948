"""Lists, page by page, the newest first.

Ids sort by time, so the id of a page's last row is the place where the next page begins. A page
costs as much as it shows, however large the ledger is. The exception is two filters that each
match many rows and rarely the same ones: then all rows of one of them are read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    Text,
    and_,
    bindparam,
    exists,
    literal,
    or_,
    select,
    text,
)

from receiver.core.model import first_id
from receiver.core.states import LEFT_OUT_SYNCS, OPEN_RUNS, PlanState, RunState
from receiver.ledger import tables
from receiver.ledger.binding import UNBOUND, Binding
from receiver.ledger.queries.details import plans_of, plans_with
from receiver.ledger.queries.fields import WHOLE, Fields
from receiver.ledger.queries.row_mapping import AT_ONCE, columns, read_rows
from receiver.ledger.queries.rows import Plan, PlanHead, Run, RunHead, Sync, SyncWithPlans
from receiver.ledger.queries.told import tell_syncs
from receiver.notification.own import OWN_CHANNEL

EXAMINED = 20_000
"""Syncs that a page looks through for a project, a phase, an outcome or a text, as of the trail's
lines."""

BAD_ENDS = frozenset(RunState) - {*OPEN_RUNS, RunState.SUCCEEDED}


@dataclass(frozen=True, slots=True)
class Filters:
    """Which rows a list has; empty is any. Times in milliseconds since 1970.

    ``application`` is ``namespace/name``, or a name alone in whichever namespace. The times are
    those of the making; for runs that ended in another way than well those of their end.

    Of syncs alone: ``project``, ``phase``, ``outcome``, the state of a plan of it, and ``text``,
    which stands in its Application, its revision or its reason, in upper or lower case. A plan of
    which a run is held counts as ``held`` there, and not as ``active``.
    """

    states: tuple[str, ...] = ()
    rule: str = ""
    handler: str = ""
    application: str = ""
    sync: str = ""
    plan: str = ""
    since: int | None = None
    until: int | None = None
    project: str = ""
    phase: str = ""
    outcome: str = ""
    text: str = ""


def list_syncs(
    connection: Connection, wanted: Filters, limit: int, before: str, fields: Fields = WHOLE,
    binding: Binding = UNBOUND,
) -> list[SyncWithPlans]:  # fmt: skip
    """List syncs, the newest first, each with its plans, where these are wanted."""
    s = tables.syncs
    query = paged(select(*columns(s, Sync)), s, wanted, before, limit, letter="s")
    if binding.bound:
        query = query.where(s.c.id.in_(binding.newest_syncs(before, EXAMINED)))
    if wanted.application:
        query = query.where(s.c.application.in_(applications(connection, wanted.application)))
    if wanted.states:
        query = query.where(_state_in(s, wanted.states))
        if set(wanted.states) <= set(LEFT_OUT_SYNCS):
            query = query.where(text(tables.LEFT_OUT_SYNC))
    if looks := _looked_for(wanted, binding):
        query = _among_newest(connection, query).where(*looks)
    rows = read_rows(connection, query.limit(limit), Sync)
    tell_syncs(rows, binding)
    shown = [row["id"] for row in rows] if "plans" in fields else []
    plans = plans_of(connection, shown, binding)
    return [{**row, "plans": plans.get(row["id"], [])} for row in rows]


def _looked_for(wanted: Filters, binding: Binding) -> list[ColumnElement[bool]]:
    """Return the conditions for which there is no index; none finds by what is not told."""
    s, p = tables.syncs.c, tables.plans.c
    found: list[ColumnElement[bool]] = []
    if wanted.project:
        found.append(s.project == wanted.project)
    if wanted.phase:
        found.append(s.phase == wanted.phase)
    if wanted.outcome:
        own = binding.of_rules(p.rule)
        found.append(exists().where(p.sync_id == s.id, _outcome_is(wanted.outcome), *own))
    if wanted.text:
        places = (s.application, s.revision, *([] if binding.bound else [s.reason]))
        found.append(or_(*(one.icontains(wanted.text, autoescape=True) for one in places)))
    return found


def _outcome_is(outcome: str) -> ColumnElement[bool]:
    """Return the condition of a plan that is shown in this state."""
    state, r = tables.plans.c.state, tables.runs.c
    run_held = exists().where(r.plan_id == tables.plans.c.id, r.state == RunState.HELD.value)
    if outcome == PlanState.HELD:
        return or_(state == outcome, run_held)
    if outcome == PlanState.ACTIVE:
        return and_(state == outcome, ~run_held)
    return state == outcome


def with_held_runs(connection: Connection, plans: Sequence[str]) -> set[str]:
    """Return those of the plans of which a run is held."""
    r = tables.runs.c
    query = select(r.plan_id).where(r.state == RunState.HELD.value).distinct()
    found: set[str] = set()
    for start in range(0, len(plans), AT_ONCE):
        some = plans[start : start + AT_ONCE]
        found.update(connection.scalars(query.where(r.plan_id.in_(some))))
    return found


def _among_newest(connection: Connection, query: Select[Any]) -> Select[Any]:
    """Cut a query of syncs to the newest of what it finds, so that it costs no more than that."""
    column = tables.syncs.c.id
    oldest = query.with_only_columns(column).limit(1).offset(EXAMINED - 1)
    last = connection.scalar(oldest)
    return query if last is None else query.where(column >= last)


def list_plans(
    connection: Connection, wanted: Filters, limit: int, before: str, binding: Binding = UNBOUND
) -> list[Plan]:
    """List plans, the newest first; what each waits for and what is bulky is not read."""
    p = tables.plans
    selected = select(*columns(p, PlanHead), literal("").label("waitsFor"))
    query = paged(selected, p, wanted, before, limit, letter="p")
    query = query.where(*binding.of_rules(p.c.rule))
    query = _of_states(query, p, wanted.states)
    if wanted.rule:
        query = query.where(p.c.rule == wanted.rule)
    if wanted.sync:
        query = query.where(p.c.id.in_(plans_with(wanted.sync)))
    if wanted.application:
        query = query.where(p.c.application.in_(applications(connection, wanted.application)))
    return read_rows(connection, query, Plan)


def list_runs(
    connection: Connection, wanted: Filters, limit: int, before: str, binding: Binding = UNBOUND
) -> list[Run]:
    """List runs, the newest first, each with its Application; else as `list_plans`."""
    r, p = tables.runs, tables.plans
    selected = (*columns(r, RunHead), p.c.application, literal("").label("waitsFor"))
    joined = select(*selected).join(p, p.c.id == r.c.plan_id).where(*binding.of_rules(r.c.rule))
    query = _of_states(_timed_runs(joined, wanted, before, limit), r, wanted.states)
    for column, value in (
        (r.c.rule, wanted.rule), (r.c.handler, wanted.handler), (r.c.plan_id, wanted.plan),
    ):  # fmt: skip
        if value:
            query = query.where(column == value)
    if wanted.sync:
        query = query.where(r.c.plan_id.in_(plans_with(wanted.sync)))
    if wanted.application:
        names = applications(connection, wanted.application)
        query = query.where(r.c.plan_id.in_(select(p.c.id).where(p.c.application.in_(names))))
    return read_rows(connection, query, Run)


def _timed_runs(query: Select[Any], wanted: Filters, before: str, limit: int) -> Select[Any]:
    """Order and cut runs; of states that are bad ends, by the time of the end."""
    if not wanted.states or not BAD_ENDS.issuperset(wanted.states):
        return paged(query, tables.runs, wanted, before, limit, letter="r")
    ended = tables.runs.c.ended_at
    if wanted.since is not None:
        query = query.where(ended >= wanted.since)
    if wanted.until is not None:
        query = query.where(ended < wanted.until)
    return paged(query, tables.runs, wanted, before, limit, letter="")


def applications(connection: Connection, wanted: str) -> list[str]:
    """Return the Applications of a name, as ``namespace/name``: it alone is of any namespace."""
    if "/" in wanted:
        return [wanted]
    return [one for one in all_applications(connection) if one.rpartition("/")[2] == wanted]


def newest_sync(binding: Binding = UNBOUND) -> Select[Any]:
    """Select the id of the newest sync that a sender notified of, none of our own channel."""
    if binding.bound:
        return binding.newest_syncs("", 1).where(tables.reaches.c.tenant.is_(None))
    s = tables.syncs.c
    return select(s.id).where(s.channel != OWN_CHANNEL).order_by(s.id.desc()).limit(1)


def all_applications(connection: Connection, binding: Binding = UNBOUND) -> Sequence[str]:
    """Return every Application that a sync was of, as ``namespace/name``; if bound, the newest."""
    if binding.bound:
        return _of_newest(connection, tables.syncs.c.application, binding)
    return connection.scalars(_APPLICATIONS).all()


def newest_projects(connection: Connection, binding: Binding = UNBOUND) -> Sequence[str]:
    """Return every AppProject that the newest syncs were of."""
    return _of_newest(connection, tables.syncs.c.project, binding)


def _of_newest(
    connection: Connection, column: ColumnElement[str], binding: Binding
) -> Sequence[str]:
    """Return the different values that the newest syncs have."""
    s = tables.syncs.c
    query = select(column.label("value")).order_by(s.id.desc()).limit(EXAMINED)
    if binding.bound:
        query = query.where(s.id.in_(binding.newest_syncs("", EXAMINED)))
    newest = query.subquery()
    return connection.scalars(select(newest.c.value).distinct()).all()


_APPLICATIONS = text(
    "WITH RECURSIVE names(name) AS ("
    " SELECT MIN(application) FROM syncs"
    " UNION ALL"
    " SELECT (SELECT MIN(application) FROM syncs WHERE application > names.name) FROM names"
    " WHERE names.name IS NOT NULL) SELECT name FROM names WHERE name IS NOT NULL"
)
"""Steps from name to name over the index, however many syncs each has."""


def paged(
    query: Select[Any], table: Any, wanted: Filters, before: str, limit: int, *, letter: str
) -> Select[Any]:
    """Order and cut a query; with a letter of ids, the times are those that the ids begin with."""
    if before:
        query = query.where(table.c.id < before)
    if letter and wanted.since is not None:
        query = query.where(table.c.id >= first_id(letter, wanted.since))
    if letter and wanted.until is not None:
        query = query.where(table.c.id < first_id(letter, wanted.until))
    return query.order_by(table.c.id.desc()).limit(limit)


def _of_states(query: Select[Any], table: Table, states: Sequence[str]) -> Select[Any]:
    if not states:
        return query
    query = query.where(_state_in(table, states))
    if RunState.SUCCEEDED not in states:
        query = query.where(text(f"{table.name}.{tables.NOT_SUCCEEDED}"))
    return query


def _state_in(table: Table, states: Sequence[str]) -> ColumnElement[bool]:
    """Write the states into the statement: only so does a partial index count for them."""
    state: ColumnElement[str] = table.c.state
    if len(states) == 1:
        return state == bindparam("state", states[0], Text, literal_execute=True)
    return state.in_(bindparam("states", states, Text, expanding=True, literal_execute=True))
