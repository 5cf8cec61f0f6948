"""The door for who looks: lists, stories, and the trail."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, TypeVar

from flask import Blueprint, Response, jsonify, request

from receiver.app.composition import Intake
from receiver.inspection.name_hints import Names
from receiver.ledger.queries.reader import Row
from receiver.web.auth import authorize
from receiver.web.problem_details import Refusal, refused
from receiver.web.query_params import (
    EventsQuery,
    NoQuery,
    PlansQuery,
    RunsQuery,
    StoryQuery,
    SyncsQuery,
    cursor_of,
    filters,
    place_of,
    read_query,
)

Listed = TypeVar("Listed", SyncsQuery, PlansQuery, RunsQuery)


def api_door(intake: Intake) -> Blueprint:
    """Make the routes for looking; a viewer's token or an operator's is needed."""
    door = Blueprint("api", __name__, url_prefix="/v1")

    @door.before_request
    def known() -> Response | None:
        try:
            authorize(request.headers.get("Authorization", ""), intake.keys, acts=False)
        except Refusal as refusal:
            return refused(refusal)
        return None

    _add_lists(door, intake)
    _add_stories(door, intake)

    @door.get("/events")
    def events() -> Response:
        query = read_query(EventsQuery)
        page = intake.reader.trail(query.wanted, after=query.after, limit=query.limit)
        first = not (query.after or page.events)
        warning = intake.names.unheard_of(**query.names) if first else ""
        told = {"events": page.events, "next": page.next, "more": page.more, "warning": warning}
        return jsonify(told)

    @door.get("/pauses")
    def pauses() -> Response:
        read_query(NoQuery)
        return jsonify({"pauses": intake.reader.pauses()})

    return door


def _add_lists(door: Blueprint, intake: Intake) -> None:
    reader = intake.reader

    @door.get("/syncs")
    def syncs() -> Response:
        return _listed("syncs", read_query(SyncsQuery), reader.syncs, intake.names)

    @door.get("/plans")
    def plans() -> Response:
        return _listed("plans", read_query(PlansQuery), reader.plans, intake.names)

    @door.get("/runs")
    def runs() -> Response:
        return _listed("runs", read_query(RunsQuery), reader.runs, intake.names)


def _listed(kind: str, query: Listed, read: Callable[..., list[Row]], names: Names) -> Response:
    """Answer a page; one row more is read, to know whether there is a next one.

    Where there is nothing at all, a filter by a name that nothing has is warned of.
    """
    before = place_of(kind, query.cursor)
    rows = read(filters(query), limit=query.limit + 1, before=before)
    page = rows[: query.limit]
    following = cursor_of(kind, page[-1]["id"]) if len(rows) > len(page) else None
    warning = "" if page or query.cursor else names.unheard_of(**query.names)
    return jsonify({kind: page, "next": following, "warning": warning})


def _add_stories(door: Blueprint, intake: Intake) -> None:
    reader = intake.reader

    @door.get("/syncs/<sync>")
    def sync(sync: str) -> Response:
        query = read_query(StoryQuery)
        wanted = reader.newest() if sync == "last" else sync
        found = _found(reader.sync(wanted) if wanted else None, "sync", sync)
        told = intake.explainer.explain(found["id"], rule=query.rule, resource=query.resource)
        return jsonify(found | {"explanation": told.rows, "explanationNote": told.note})

    @door.get("/plans/<plan>")
    def plan(plan: str) -> Response:
        read_query(NoQuery)
        return jsonify(_found(reader.plan(plan), "plan", plan))

    @door.get("/runs/<run>")
    def run(run: str) -> Response:
        read_query(NoQuery)
        return jsonify(_found(reader.run(run), "run", run))


def _found(row: Row | None, kind: str, wanted: str) -> dict[str, Any]:
    if row is None:
        raise Refusal(
            HTTPStatus.NOT_FOUND, f"no_such_{kind}", f"there is no {kind} {wanted}",
            hint=f"GET /v1/{kind}s lists them",
        )  # fmt: skip
    return row
