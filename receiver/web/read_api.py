"""Reading: lists, one sync, plan or run with all that belongs to it, and the trail."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import TypeVar

from receiver.app.composition import Intake
from receiver.inspection.explain import Explanation
from receiver.inspection.explained import Asked, ExplainedSync, NoSuchName, Unexplained
from receiver.inspection.instance_status import InstanceStatus, instance_status
from receiver.inspection.stored_notification import delivery_story
from receiver.ledger.queries.bulky import OF_PLANS, OF_RUNS
from receiver.ledger.queries.deliveries import BULKY
from receiver.ledger.queries.delivery_rows import DeliveryStory, ListedDelivery
from receiver.ledger.queries.fields import Fields
from receiver.ledger.queries.reader import Part
from receiver.ledger.queries.rows import Event, Plan, Run, SyncWithPlans
from receiver.ledger.queries.rule_rows import RuleInForce, RuleList
from receiver.web.cursors import cursor_of, place_of, story_cursor, story_place
from receiver.web.fields import fields_of
from receiver.web.operation import READ_ERRORS, Routes, Who
from receiver.web.problem_details import Refusal
from receiver.web.query_params import (
    DeliveriesQuery,
    EventsQuery,
    ExplanationQuery,
    PartQuery,
    PlansQuery,
    RowQuery,
    RunsQuery,
    StoryQuery,
    SyncsQuery,
    filters,
)
from receiver.web.responses import (
    Deliveries,
    Events,
    Pauses,
    PlanPage,
    Plans,
    RunPage,
    Runs,
    Syncs,
    SyncStory,
)

ROUTES = Routes(Who.VIEWER, READ_ERRORS)

OLDER = "newer rule files are refused, so these rules are older: `postsync status` says why"

PLURALS = {"delivery": "deliveries"}

Row = TypeVar("Row", SyncWithPlans, Plan, Run)
Found = TypeVar("Found")


@ROUTES.add("get", "/v1/status")
def get_status(intake: Intake) -> InstanceStatus:
    """Tell whether all is well, and if not, what needs a person."""
    overview, seen = intake.reader.overview()
    settings = intake.settings
    return instance_status(
        overview, seen, intake.keys.senders.names, settings.argocd,
        tenants=settings.tenants is not None,
    )  # fmt: skip


@ROUTES.add("get", "/v1/rules", bound=True)
def list_rules(intake: Intake) -> RuleList:
    """List the rules in force with what became of them: those that fail first."""
    return intake.reader.rule_list()


@ROUTES.add("get", "/v1/rules/{name}", bound=True)
def get_rule(intake: Intake, name: str) -> RuleInForce:
    """Tell where a rule in force stands, what it has matched last, and how its plans ended."""
    found = intake.reader.rule_list(name)["rules"]
    if not found:
        unknown = intake.name_hints.for_rule(name)
        raise Refusal(
            "no_such_rule", f"no rule {name} is in force",
            hint=unknown.hint if unknown else "", status=HTTPStatus.NOT_FOUND,
        )  # fmt: skip
    return found[0]


@ROUTES.add("get", "/v1/syncs", bound=True)
def list_syncs(intake: Intake, query: SyncsQuery) -> Syncs:
    """List syncs, the newest first."""
    fields = fields_of(query.fields, SyncWithPlans)
    page, following, warning = _page(intake, "syncs", query, intake.reader.syncs, fields)
    return {"syncs": page, "next": following, "warning": warning}


@ROUTES.add("get", "/v1/syncs/{sync}", bound=True)
def get_sync(intake: Intake, sync: str, query: StoryQuery) -> SyncStory:
    """Tell a sync's story, a page at a time; `last` is the newest."""
    wanted = intake.reader.newest() if sync == "last" else sync
    fields, part = _part(wanted or "", query, SyncStory)
    page = intake.reader.sync_page(wanted, part) if wanted else None
    found, place = existing(page, "sync", sync)
    explained = Explanation(None)
    if not query.cursor and ("explanation" in fields or "explanationNote" in fields):
        explained = intake.explainer.explain(found["id"], rule=query.rule, resource=query.resource)
    told: SyncStory = fields.of(
        {**found, "explanation": explained.rows, "explanationNote": explained.note}
    )
    return {**told, "next": story_cursor(found["id"], place)}


@ROUTES.add("get", "/v1/syncs/{sync}/explanation", bound=True)
def explain_sync(intake: Intake, sync: str, query: ExplanationQuery) -> ExplainedSync:
    """Tell what the rules that are in force now make of a sync; `last` is the newest."""
    known = stored_sync(intake, sync)
    asked = Asked(query.rule, query.resource, query.matched)
    try:
        found = intake.explainer.explain_in_force(known, asked, intake.settings.argocd)
    except NoSuchName as error:
        status, hint = HTTPStatus.NOT_FOUND, error.hint
        if not hint and (unknown := intake.name_hints.for_rule(query.rule)):
            hint = unknown.hint
        raise Refusal(f"no_such_{error.kind}", error.message, hint=hint, status=status) from None
    except Unexplained as error:
        status = HTTPStatus.SERVICE_UNAVAILABLE
        raise Refusal("unexplained", error.message, hint=error.hint, status=status) from None
    if intake.reader.rules()["refused"]:
        found["notes"].append(OLDER)
    return found


def stored_sync(intake: Intake, sync: str) -> str:
    """Return the id of a stored sync; `last` is the newest.

    Raises:
        Refusal: 404, there is no such sync.
    """
    wanted = intake.reader.newest() if sync == "last" else sync
    return existing(wanted if wanted and intake.reader.has("sync", wanted) else None, "sync", sync)


@ROUTES.add("get", "/v1/deliveries", bound=True)
def list_deliveries(intake: Intake, query: DeliveriesQuery) -> Deliveries:
    """List stored notifications, the newest first, without their bodies unless `fields` asks."""
    fields = fields_of(query.fields, ListedDelivery, without=BULKY)
    before = place_of("deliveries", query.cursor)
    found, more = intake.reader.deliveries(
        filters(query), limit=query.limit, before=before, fields=fields
    )
    following = cursor_of("deliveries", found[-1].row["id"]) if more else None
    warning = "" if found or query.cursor else intake.name_hints.for_filters(**query.names)
    rows = fields.of([*map(delivery_story, found)])
    return {"deliveries": rows, "next": following, "warning": warning}


@ROUTES.add("get", "/v1/deliveries/{delivery}", bound=True)
def get_delivery(intake: Intake, delivery: str, query: RowQuery) -> DeliveryStory:
    """Show a stored notification; of a sync's id it is that sync's, `last` is the newest sync's."""
    fields = fields_of(query.fields, DeliveryStory)
    found = intake.reader.delivery(delivery, fields=fields)
    told: DeliveryStory = fields.of(delivery_story(existing(found, "delivery", delivery)))
    return told


@ROUTES.add("get", "/v1/plans", bound=True)
def list_plans(intake: Intake, query: PlansQuery) -> Plans:
    """List plans, the newest first."""
    fields = fields_of(query.fields, Plan, without=OF_PLANS)
    page, following, warning = _page(intake, "plans", query, intake.reader.plans, fields)
    return {"plans": page, "next": following, "warning": warning}


@ROUTES.add("get", "/v1/plans/{plan}", bound=True)
def get_plan(intake: Intake, plan: str, query: PartQuery) -> PlanPage:
    """Tell a plan with its runs, a page at a time."""
    fields, part = _part(plan, query, PlanPage)
    found, place = existing(intake.reader.plan_page(plan, part), "plan", plan)
    told: PlanPage = fields.of(found)
    return {**told, "next": story_cursor(plan, place)}


@ROUTES.add("get", "/v1/runs", bound=True)
def list_runs(intake: Intake, query: RunsQuery) -> Runs:
    """List runs, the newest first."""
    fields = fields_of(query.fields, Run, without=OF_RUNS)
    page, following, warning = _page(intake, "runs", query, intake.reader.runs, fields)
    return {"runs": page, "next": following, "warning": warning}


@ROUTES.add("get", "/v1/runs/{run}", bound=True)
def get_run(intake: Intake, run: str, query: PartQuery) -> RunPage:
    """Tell a run with its attempts, a page at a time."""
    fields, part = _part(run, query, RunPage)
    found, place = existing(intake.reader.run_page(run, part), "run", run)
    told: RunPage = fields.of(found)
    return {**told, "next": story_cursor(run, place)}


@ROUTES.add("get", "/v1/events", bound=True)
def list_events(intake: Intake, query: EventsQuery) -> Events:
    """Read the trail, the oldest line first."""
    fields = fields_of(query.fields, Event)
    page = intake.reader.trail(query.wanted, after=query.after, limit=query.limit)
    first = not (query.after or page.events)
    warning = intake.name_hints.for_filters(**query.names) if first else ""
    lines = fields.of(page.events)
    return {"events": lines, "next": page.next, "more": page.more, "warning": warning}


@ROUTES.add("get", "/v1/pauses", bound=True)
def list_pauses(intake: Intake) -> Pauses:
    """List what is paused."""
    return {"pauses": intake.reader.pauses()}


def _page(
    intake: Intake, kind: str, query: SyncsQuery | PlansQuery | RunsQuery,
    read: Callable[..., list[Row]], fields: Fields,
) -> tuple[list[Row], str | None, str]:  # fmt: skip
    """Return a page, the cursor of the next one, and a warning.

    One row more is read, to know whether there is a next page. Where there is nothing at all, a
    filter by a name that nothing has is warned of.
    """
    before = place_of(kind, query.cursor)
    rows = read(filters(query), limit=query.limit + 1, before=before, fields=fields)
    page = rows[: query.limit]
    if kind != "syncs":
        page = intake.reader.with_bulky(kind, page, fields)
    following = cursor_of(kind, page[-1]["id"]) if len(rows) > len(page) else None
    warning = "" if page or query.cursor else intake.name_hints.for_filters(**query.names)
    return fields.of(page), following, warning


def _part(about: str, query: PartQuery, model: type) -> tuple[Fields, Part]:
    """Return the keys of a story that are wanted, and what of it a page has."""
    fields = fields_of(query.fields, model)
    return fields, Part(fields, query.limit, story_place(about, query.cursor))


def existing(row: Found | None, kind: str, wanted: str) -> Found:
    """Return what the ledger has of an id.

    Raises:
        Refusal: 404, it has nothing.
    """
    if row is None:
        raise Refusal(
            f"no_such_{kind}", f"there is no {kind} {wanted}",
            hint=f"GET /v1/{PLURALS.get(kind, f'{kind}s')} lists them", status=HTTPStatus.NOT_FOUND,
        )  # fmt: skip
    return row
