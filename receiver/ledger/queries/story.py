"""The story of a sync, a plan or a run, a page at a time: what one answer holds is bounded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    and_,
    func,
    literal,
    or_,
    select,
    tuple_,
)

from receiver.ledger import tables
from receiver.ledger.binding import UNBOUND, Binding
from receiver.ledger.queries.bulky import add_bulky
from receiver.ledger.queries.details import (
    about_plans,
    about_run,
    about_sync,
    count_matched,
    first_and_last_tries,
    plans_with,
    syncs_of,
)
from receiver.ledger.queries.fields import Fields
from receiver.ledger.queries.row_mapping import columns, read_one, read_rows
from receiver.ledger.queries.rows import (
    Attempt,
    Delivery,
    Event,
    PlanHead,
    PlanStory,
    PlanWithRuns,
    RunHead,
    RunStory,
    RunWithTries,
    Sync,
    SyncDetails,
)
from receiver.ledger.queries.told import read_lines, tell_syncs

_R = tables.runs.c
_IN_TURN = (_R.section, _R.wave, _R.step, func.coalesce(_R.target_index, -1), _R.id)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins: after these. With a run, its plan goes on; else the next plan begins."""

    delivery: str = ""
    plan: str = ""
    run: str = ""
    line: int = 0
    attempt: int = 0


FIRST = Place()


@dataclass(frozen=True, slots=True)
class Part:
    """What of a story a page has: at most so many rows of each kind, with these keys."""

    fields: Fields
    limit: int
    after: Place = FIRST


def sync_page(
    connection: Connection, sync: str, part: Part, binding: Binding = UNBOUND
) -> tuple[SyncDetails, Place | None] | None:
    """Return a page of a sync's story and where the next one begins; None if there is no sync."""
    found = read_one(connection, tables.syncs, sync, Sync, binding.of_syncs(tables.syncs.c.id))
    if found is None:
        return None
    tell_syncs([found], binding)
    deliveries, plans, events = list[Delivery](), list[PlanWithRuns](), list[Event]()
    place, more = part.after, False
    if "deliveries" in part.fields:
        deliveries, more = _deliveries(connection, sync, part)
        place = replace(place, delivery=deliveries[-1]["id"] if deliveries else place.delivery)
    if "plans" in part.fields:
        ids = connection.scalars(plans_with(sync, binding)).all()
        plans, place, further = _plans(connection, sorted(ids), part, place)
        more = more or further
    if "events" in part.fields:
        about = about_sync(connection, sync, binding)
        events, place, further = _events(connection, about, part, place, binding)
        more = more or further
    told: SyncDetails = {**found, "deliveries": deliveries, "plans": plans, "events": events}
    return told, place if more else None


def plan_page(
    connection: Connection, plan: str, part: Part, binding: Binding = UNBOUND
) -> tuple[PlanStory, Place | None] | None:
    """Return a page of a plan's story and where the next one begins; None if there is no plan."""
    seen = binding.of_rules(tables.plans.c.rule)
    found = read_one(connection, tables.plans, plan, PlanHead, seen)
    if found is None:
        return None
    runs, events, place, more = list[RunWithTries](), list[Event](), part.after, False
    if "runs" in part.fields:
        of_runs = replace(part, fields=part.fields.under("runs"))
        runs, more = _runs(connection, [plan], of_runs)
        place = replace(place, plan=plan, run=runs[-1]["id"] if runs else place.run)
    if "events" in part.fields:
        events, place, further = _events(connection, about_plans(connection, [plan]), part, place)
        more = more or further
    (told,) = _with_runs(connection, [found], {plan: runs}, part.fields)
    story: Any = {**told, "events": events}
    return _with_bulky(connection, tables.plans, story, part), place if more else None


def run_page(
    connection: Connection, run: str, part: Part, binding: Binding = UNBOUND
) -> tuple[RunStory, Place | None] | None:
    """Return a page of a run's story and where the next one begins; None if there is no run."""
    found = read_one(connection, tables.runs, run, RunHead, binding.of_rules(_R.rule))
    if found is None:
        return None
    tries, events, place, more = list[Attempt](), list[Event](), part.after, False
    if "tries" in part.fields:
        tries, more = _tries(connection, run, part)
        place = replace(place, attempt=tries[-1]["number"] if tries else place.attempt)
    if "events" in part.fields:
        events, place, further = _events(connection, about_run(connection, run), part, place)
        more = more or further
    p = tables.plans.c
    application = connection.scalar(select(p.application).where(p.id == found["plan"])) or ""
    story: Any = {
        **found, "application": application, "waitsFor": "", "tries": tries, "events": events,
    }  # fmt: skip
    return _with_bulky(connection, tables.runs, story, part), place if more else None


def _with_bulky(connection: Connection, table: Table, story: Any, part: Part) -> Any:
    """Add what is bulky of a plan or a run itself, on the first page alone."""
    if part.after == FIRST:
        add_bulky(connection, table, [story], part.fields)
    return story


def _deliveries(connection: Connection, sync: str, part: Part) -> tuple[list[Delivery], bool]:
    d = tables.deliveries
    query = select(*columns(d, Delivery)).where(d.c.sync_id == sync, d.c.id > part.after.delivery)
    rows = read_rows(connection, query.order_by(d.c.id).limit(part.limit + 1), Delivery)
    return rows[: part.limit], len(rows) > part.limit


def _plans(
    connection: Connection, ids: Sequence[str], part: Part, place: Place
) -> tuple[list[PlanWithRuns], Place, bool]:
    """Return the next plans with their runs, as many of both as a page has."""
    fields = part.fields.under("plans")
    left = [one for one in ids if one > place.plan or (one == place.plan and place.run)]
    chosen, further = left[: part.limit], len(left) > part.limit
    by_plan: dict[str, list[RunWithTries]] = {}
    last = ""
    if "runs" in fields and chosen:
        runs, cut = _runs(connection, chosen, replace(part, fields=fields.under("runs")))
        for run in runs:
            by_plan.setdefault(run["plan"], []).append(run)
        if cut:
            last, further = runs[-1]["id"], True
            chosen = [one for one in chosen if one <= runs[-1]["plan"]]
    if chosen:
        place = replace(place, plan=chosen[-1], run=last)
    p = tables.plans
    query = select(*columns(p, PlanHead)).where(p.c.id.in_(chosen)).order_by(p.c.id)
    heads = read_rows(connection, query, PlanHead)
    return _with_runs(connection, heads, by_plan, fields), place, further


def _with_runs(
    connection: Connection, plans: Sequence[PlanHead], runs: dict[str, list[RunWithTries]],
    fields: Fields,
) -> list[PlanWithRuns]:  # fmt: skip
    ids = [plan["id"] for plan in plans]
    syncs = syncs_of(connection, ids)
    matched = count_matched(connection, ids) if "matched" in fields else {}
    return [
        {
            **plan,
            "waitsFor": "",
            "syncs": syncs.get(plan["id"], [plan["sync"]]),
            "matched": matched.get(plan["id"], 0),
            "runs": runs.get(plan["id"], []),
        }
        for plan in plans
    ]


def _runs(
    connection: Connection, plans: Sequence[str], part: Part
) -> tuple[list[RunWithTries], bool]:
    """Return the next runs of these plans, by plan and in their turn, and if there are more."""
    limit = part.limit
    ids = connection.scalars(_next_runs(connection, plans, part.after).limit(limit + 1)).all()
    p = tables.plans.c
    query = select(*columns(tables.runs, RunHead), p.application, literal("").label("waitsFor"))
    query = query.join(tables.plans, p.id == _R.plan_id).where(_R.id.in_(ids[:limit]))
    rows = read_rows(connection, query.order_by(_R.plan_id, *_IN_TURN), dict[str, Any])
    rows = add_bulky(connection, tables.runs, rows, part.fields)
    wanted = [row["id"] for row in rows] if "tries" in part.fields else []
    tries = first_and_last_tries(connection, wanted)
    runs: Any = [{**row, "tries": tries.get(row["id"], [])} for row in rows]
    return runs, len(ids) > len(runs)


def _next_runs(connection: Connection, plans: Sequence[str], after: Place) -> Select[Any]:
    query = select(_R.id).where(_R.plan_id.in_(plans)).order_by(_R.plan_id, *_IN_TURN)
    if not after.run:
        return query
    of_these = _R.id == after.run, _R.plan_id.in_(plans)
    last = connection.execute(select(_R.plan_id, *_IN_TURN).where(*of_these)).first()
    if last is None:  # it was deleted, with all of its sync, or the cursor is not ours
        return query.where(_R.plan_id > after.plan)
    plan, *turn = last
    later = tuple_(*_IN_TURN) > tuple_(*map(literal, turn))
    return query.where(or_(_R.plan_id > plan, and_(_R.plan_id == plan, later)))


def _tries(connection: Connection, run: str, part: Part) -> tuple[list[Attempt], bool]:
    """Return the next attempts of a run, and if there are more."""
    a = tables.attempts
    query = select(*columns(a, Attempt)).where(a.c.run_id == run, a.c.number > part.after.attempt)
    rows = read_rows(connection, query.order_by(a.c.number).limit(part.limit + 1), Attempt)
    return rows[: part.limit], len(rows) > part.limit


def _events(
    connection: Connection, about: ColumnElement[bool], part: Part, place: Place,
    binding: Binding = UNBOUND,
) -> tuple[list[Event], Place, bool]:  # fmt: skip
    """Return the next lines of the trail."""
    e = tables.audit_events
    query = select(e).where(about, e.c.seq > place.line).order_by(e.c.seq)
    lines = read_lines(connection, query.limit(part.limit + 1), binding)
    told = lines[: part.limit]
    place = replace(place, line=told[-1]["seq"] if told else place.line)
    return told, place, len(lines) > len(told)
