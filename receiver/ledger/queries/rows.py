"""What the reader returns and the API answers: syncs, plans, runs, and what happened to them.

A row is its JSON object already: the server sends it as it is, and a command reads the same types
out of what it received. pydantic makes the OpenAPI document of them; nothing is validated at run
time, since whatever lies in the ledger has to be shown.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, NotRequired

from pydantic import ConfigDict, Field, GetPydanticSchema, with_config
from typing_extensions import TypedDict

from receiver.core.model import DeliveryVerdict
from receiver.core.states import PlanState, RunState, SyncState


def written_as_text(kind: Any) -> GetPydanticSchema:
    """Annotate text with what it is the text of, for the schema."""
    return GetPydanticSchema(lambda _text, schema_of: schema_of(kind))


Id = Annotated[str, Field(examples=["s-1m7y9gr9ez7egy539n"])]
Time = Annotated[str, written_as_text(datetime)]


@with_config(ConfigDict(extra="allow"))
class Event(TypedDict):
    """A line of the trail; docs/audit-trail.md has what each event says besides."""

    seq: int
    at: Time
    event: str
    delivery: NotRequired[str]
    sync: NotRequired[str]
    plan: NotRequired[str]
    run: NotRequired[str]
    attempt: NotRequired[int]


class Attempt(TypedDict):
    """One try of a run."""

    run: Id
    number: int
    startedAt: Time
    pending: Annotated[
        int,
        Field(
            description="How often the other side was asked, and still worked on what this has "
            "started."
        ),
    ]
    endedAt: Time | None
    outcome: Annotated[
        str,
        Field(
            description="Empty while it is under way; `pending` while the other side works on it."
        ),
    ]
    reason: str


class RunHead(TypedDict):
    """A run: one action for one target of a plan."""

    id: Id
    plan: Id
    sync: Id
    rule: str
    section: Literal["actions", "onFailure"]
    action: str
    handler: str
    wave: int
    target: str
    state: Annotated[str, written_as_text(RunState)]
    reason: str
    attempts: Annotated[
        int, Field(description="How often it was started; asking again is no attempt.")
    ]
    dueAt: Time | None
    endedAt: Time | None


Parameters = Annotated[Any, Field(description="Rendered; a secret is only referred to.")]
RunWaitsFor = Annotated[
    str,
    Field(
        description="What it waits for, in words: the end of a pause, a time, its turn, a "
        "limit, its wave, its plan's place or approval. Empty where it does not wait."
    ),
]


class ActedRun(RunHead):
    """A run after an act."""

    parameters: Parameters
    output: Any


class Run(RunHead):
    """A run as lists show it; ``parameters`` and ``output`` only where ``fields`` asks."""

    application: str
    waitsFor: RunWaitsFor
    parameters: NotRequired[Parameters]
    output: NotRequired[Any]


class RunWithTries(ActedRun):
    """A run with its attempts."""

    application: str
    waitsFor: RunWaitsFor
    tries: list[Attempt]


class RunStory(RunWithTries):
    """A run with all that the trail says of it."""

    events: list[Event]


class PlanHead(TypedDict):
    """A plan: one rule applied to one sync, or with debounce to several."""

    id: Id
    sync: Annotated[Id, Field(description="The newest of its syncs.")]
    rule: str
    application: str
    mode: Literal["run", "observe"]
    state: Annotated[str, written_as_text(PlanState)]
    reason: str
    ruleSet: str
    createdAt: Time
    dueAt: Annotated[
        Time | None,
        Field(
            description="When a plan that collects syncs starts, and until when one waits for its "
            "resources to be healthy."
        ),
    ]
    endedAt: Time | None
    concurrencyKey: str | None


Targets = Annotated[
    list[dict[str, Any]], Field(description="What it matched: each resource, and why.")
]
PlanWaitsFor = Annotated[
    str,
    Field(
        description="What it waits for as a whole, in words: an approval and since when, "
        "further syncs or Applications, healthy resources, its place under its concurrency key "
        "and who has it. Empty where it does not wait: its runs may."
    ),
]


class ActedPlan(PlanHead):
    """A plan after an act."""

    targets: Targets


class PlanOfSync(PlanHead):
    """A plan beside its sync."""

    waitsFor: PlanWaitsFor


class Plan(PlanOfSync):
    """A plan as lists show it; ``targets`` only where ``fields`` asks."""

    targets: NotRequired[Targets]


class PlanWithRuns(PlanOfSync):
    """A plan with its runs and attempts."""

    syncs: list[Id]
    matched: Annotated[int, Field(description="Resources; none where the sync itself matched.")]
    runs: Annotated[
        list[RunWithTries],
        Field(description="Of actions, then of onFailure: by waves, then as in the rule."),
    ]


class PlanExcerpt(PlanOfSync):
    """A plan with some of its runs; ``counts`` is how many there are, by state."""

    syncs: list[Id]
    matched: int
    counts: dict[str, int]
    runs: list[RunWithTries]


class PlanExcerptStory(PlanExcerpt):
    """A plan with some of its runs, and the last that the trail says of it."""

    targets: Targets
    events: list[Event]


class PlanStory(PlanWithRuns):
    """A plan with all that the trail says of it."""

    targets: Targets
    events: list[Event]


class Sync(TypedDict):
    """One operation of one Application."""

    id: Id
    sender: str
    channel: str
    application: str
    project: str
    phase: str
    revision: str
    startedAt: Time | None
    finishedAt: Time | None
    receivedAt: Time
    resources: int
    changed: Annotated[
        int | None,
        Field(
            description="Resources, as `unchanged` and `unknown`; null while nobody has planned it."
        ),
    ]
    unchanged: int | None
    unknown: int | None
    state: Annotated[str, written_as_text(SyncState)]
    reason: Annotated[
        str,
        Field(
            description="Why it is not planned, or not acted upon; of a planned one, why rules "
            "took no part that might have: there are none, or a condition failed."
        ),
    ]
    plannedAt: Time | None


class SyncWithPlans(Sync):
    """A sync with its plans."""

    plans: list[PlanOfSync]


class Delivery(TypedDict):
    """A notification as it was stored."""

    id: str
    sync: Id | None
    receivedAt: Time
    verdict: Annotated[str, written_as_text(DeliveryVerdict)]
    reason: str
    size: int
    sender: str


class SyncDetails(Sync):
    """A sync with all that the ledger has of it."""

    deliveries: list[Delivery]
    plans: list[PlanWithRuns]
    events: list[Event]


class SyncExcerpt(Sync):
    """A sync with some of the runs of its plans, and the last that the trail says of it.

    ``again`` are the lines with which these runs, when they had ended, were opened again.
    """

    deliveries: list[Delivery]
    plans: list[PlanExcerpt]
    again: list[Event]
    events: list[Event]


class Pause(TypedDict):
    """What is paused."""

    scope: Annotated[str, written_as_text(Literal["all", "rule", "handler"])]
    name: str
    by: str
    at: Time
    reason: str


class RulesStatus(TypedDict):
    """Which rules are in force.

    ``ok`` is whether they are those of the files as they are, ``refused`` whether they are not
    because the files have mistakes.
    """

    ok: bool
    refused: bool
    error: str
    warnings: list[str]
    digest: str | None
    rules: int
    tenantRules: Annotated[int, Field(description="PostSyncRules that are known.")]
    tenantRulesNotReady: Annotated[
        int, Field(description="Those that are not in force as they are written now.")
    ]
    loadedAt: NotRequired[Time | None]
    refusedAt: NotRequired[Time | None]


class DispatcherStatus(TypedDict):
    """What the dispatchers say of themselves; ``alive`` is how many."""

    heartbeatAgeSeconds: float | None
    alive: int
    hangingAttempts: int
    ailments: list[str]
