"""The query parameters of the API: an unknown or wrong one is refused, in the user's words."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar, get_origin

from flask import request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from receiver.core.model import DeliveryVerdict
from receiver.core.states import PlanState, RunState, SyncState
from receiver.core.validation import field_errors
from receiver.ledger.queries.reader import EventFilters, Filters
from receiver.notification.parse import EVENT_KEY_LIMIT
from receiver.web.fields import FieldsWanted
from receiver.web.problem_details import Refusal
from receiver.web.request_bodies import Moment, Name, moment

PAGE = 50
LARGEST_PAGE = 500

NAMES = {"rule", "handler", "application", "project", "event", "sync", "plan", "run"}

Limit = Annotated[int, Field(ge=1, le=LARGEST_PAGE, description="Rows of a page.")]
StoryLimit = Annotated[
    int,
    Field(
        ge=1, le=LARGEST_PAGE, description="Of each at most so many: runs, lines of the trail, ..."
    ),
]
Cursor = Annotated[str, Field(max_length=200, description="The page before's `next`.")]
Id = Annotated[str, Field(max_length=100)]
Since = Annotated[
    Moment | None,
    Field(
        description="Since then: a time, or a duration back from now. Of runs that ended in "
        "another way than well (`failed`, ...), it is the time of the end; else of the making.",
        examples=["2h", "2026-06-01T12:00:00Z"],
    ),
]
Until = Annotated[Moment | None, Field(description="Before then.", examples=["1h"])]
Application = Annotated[
    str, Field(max_length=507, description="Of this Application: namespace/name, or a name alone.")
]


class Query(BaseModel):
    """A query; an unknown parameter is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @property
    def names(self) -> dict[str, str]:
        """Those filters that name something: a rule, an Application, an event, a sync..."""
        return self.model_dump(include=NAMES)


class RowQuery(Query):
    """What of one thing."""

    fields: FieldsWanted = ""


class NoQuery(Query):
    """No parameters: one that is misplaced here is refused, not passed over."""


def _plan_state(value: str) -> str:
    """Take a state, or nothing: a form sends what was not chosen, too."""
    if value and value not in {*PlanState}:
        raise ValueError(f"must be {', '.join(PlanState)}")
    return value


class SyncsFilter(Query):
    """Which syncs."""

    application: Application = ""
    state: tuple[SyncState, ...] = Field(default=(), description="In one of these states.")
    project: str = Field(default="", max_length=253, description="Of this AppProject.")
    phase: str = Field(default="", max_length=40, description="That ended so.", examples=["Failed"])
    outcome: Annotated[str, AfterValidator(_plan_state)] = Field(
        default="",
        description="With a plan of its own in this state; one with a held run counts as `held`, "
        "and not as `active`.",
        json_schema_extra={"enum": ["", *PlanState]},
    )
    text: str = Field(
        default="", max_length=200,
        description="With this in its Application, revision or reason.",
    )  # fmt: skip
    since: Since = None
    until: Until = None
    limit: Limit = PAGE
    cursor: Cursor = ""


class SyncsQuery(SyncsFilter):
    """Which syncs, and what of them."""

    fields: FieldsWanted = ""


class PartQuery(Query):
    """What of a story."""

    limit: StoryLimit = LARGEST_PAGE
    cursor: Cursor = ""
    fields: FieldsWanted = ""


class ExplainedQuery(Query):
    """What of a sync is explained."""

    rule: Name = Field(default="", description="Explain this rule only.")
    resource: str = Field(
        default="", max_length=2000, description="Explain this resource only: its key, or "
        "Kind/name where only one is called so.", examples=["apps/Deployment/shop/web"],
    )  # fmt: skip


class StoryQuery(PartQuery, ExplainedQuery):
    """What of a sync's story."""


class ExplanationQuery(ExplainedQuery):
    """What of an explanation."""

    matched: bool = Field(default=False, description="Leave out what did not match.")


class DeliveriesQuery(Query):
    """Which stored notifications."""

    application: Application = ""
    verdict: tuple[DeliveryVerdict, ...] = Field(
        default=(), description="With one of these verdicts."
    )
    since: Since = None
    until: Until = None
    limit: Limit = PAGE
    cursor: Cursor = ""
    fields: FieldsWanted = ""

    @property
    def state(self) -> tuple[DeliveryVerdict, ...]:
        """The verdicts: what other lists have states for."""
        return self.verdict


class NewestQuery(Query):
    """How many of the newest."""

    limit: int = Field(default=10, ge=1, le=100, description="How many.")


class PlansQuery(Query):
    """Which plans."""

    state: tuple[PlanState, ...] = Field(default=(), description="In one of these states.")
    rule: Name = Field(default="", description="Of this rule.")
    application: Application = ""
    sync: Id = Field(default="", description="Of this sync.")
    since: Since = None
    until: Until = None
    limit: Limit = PAGE
    cursor: Cursor = ""
    fields: FieldsWanted = ""


class RunsFilter(Query):
    """Which runs."""

    state: tuple[RunState, ...] = Field(default=(), description="In one of these states.")
    rule: Name = Field(default="", description="Of this rule.")
    handler: Name = Field(default="", description="Of this handler.")
    application: Application = ""
    sync: Id = Field(default="", description="Of this sync.")
    plan: Id = Field(default="", description="Of this plan.")
    since: Since = None
    until: Until = None
    limit: Limit = PAGE
    cursor: Cursor = ""


class RunsQuery(RunsFilter):
    """Which runs, and what of them."""

    fields: FieldsWanted = ""


class AfterQuery(Query):
    """From where on the trail is read."""

    after: int = Field(
        default=0, ge=0, le=(1 << 63) - 1, description="After this `seq`: the page before's `next`."
    )


class EventsQuery(AfterQuery):
    """Which lines of the trail."""

    sync: Id = Field(default="", description="Of this sync.")
    plan: Id = Field(default="", description="Of this plan.")
    run: Id = Field(default="", description="Of this run.")
    rule: Name = Field(default="", description="Of this rule.")
    event: Id = Field(default="", description="Of this name, a glob.", examples=["run.*"])
    application: Application = ""
    since: Since = None
    limit: Limit = PAGE
    fields: FieldsWanted = ""

    @property
    def wanted(self) -> EventFilters:
        """The query as the ledger's filters."""
        return EventFilters(
            self.sync, self.plan, self.run, self.rule, self.event, self.application,
            in_ms(self.since),
        )  # fmt: skip


class NotificationQuery(BaseModel):
    """What a notification may say in its address where its body does not."""

    model_config = ConfigDict(extra="allow")

    application: str = Field(default="", description="The Application, if the body names none.")
    namespace: str = Field(default="", description="Its namespace, likewise.")
    phase: str = Field(default="", description="How the sync ended, for a list of resources.")
    revision: str = Field(default="", description="What was synced, for a list of resources.")
    startedAt: str = Field(  # noqa: N815 the name in the address
        default="", description="When the sync began, likewise: RFC 3339."
    )
    finishedAt: str = Field(  # noqa: N815 the name in the address
        default="", description="When it ended, likewise; without both only equal bodies within "
        "ten minutes are duplicates.",
    )  # fmt: skip


class ChannelQuery(NotificationQuery):
    """The same, on a channel where events need no operation."""

    eventKey: str = Field(  # noqa: N815 the name in the address
        default="",
        max_length=EVENT_KEY_LIMIT,
        description="Tells one event from the next; on `sync` the operation does.",
    )


Q = TypeVar("Q", bound=Query)


def read_query(model: type[Q], *, blanks: bool = True) -> Q:
    """Read the current request's query; without ``blanks`` what is empty counts as not given.

    Raises:
        Refusal: 400 ``bad_parameter``, with each parameter that is wrong.
    """
    given: dict[str, Any] = {}
    for name, values in request.args.lists():
        if not (blanks or any(values)):
            continue
        field = model.model_fields.get(name)
        many = field is not None and get_origin(field.annotation) is tuple
        given[name] = values if many else values[-1]
    try:
        return model.model_validate(given)
    except ValidationError as error:
        detail = "; ".join(map(str, field_errors(error, model, given)))
        known = ", ".join(model.model_fields) or "none"
        raise Refusal("bad_parameter", detail, hint=f"there are {known}") from None


def filters(query: SyncsQuery | DeliveriesQuery | PlansQuery | RunsQuery) -> Filters:
    """Return a query as the ledger's filters."""
    own = {"limit", "cursor", "fields", "state", "verdict", "since", "until"}
    same = query.model_dump(exclude=own)
    states = tuple(state.value for state in query.state)
    return Filters(states=states, since=in_ms(query.since), until=in_ms(query.until), **same)


def in_ms(text: str | None) -> int | None:
    """Return a time, as it was checked before, in milliseconds since 1970."""
    return None if text is None else int(moment(text).timestamp() * 1000)
