"""The answers of the API, as its document describes them; a test holds the server to it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from receiver.model import DeliveryVerdict, PlanState, RunState, SyncState

Id = Annotated[str, Field(examples=["s-1m7y9gr9ez7egy539n"])]


class Answer(BaseModel):
    """camelCase keys, and no others than these."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True)


class Open(BaseModel):
    """These keys and others."""

    model_config = ConfigDict(extra="allow", alias_generator=to_camel, populate_by_name=True)


class Problem(Open):
    """What is wrong, and the way out (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    reason: str = Field(description="A stable word for programs.")
    hint: str = Field(default="", description="The way out.")


class Receipt(Answer):
    """A notification that is on disk."""

    delivery: str
    sync: str
    verdict: DeliveryVerdict
    reason: str


class MessageReceipt(Answer):
    """A message that is on disk."""

    message: str


class Event(Open):
    """A line of the trail; docs/audit-trail.md has what each event says besides."""

    seq: int
    at: datetime
    event: str
    delivery: str = ""
    sync: str = ""
    plan: str = ""
    run: str = ""
    attempt: int = 0


class Attempt(Answer):
    """One try of a run."""

    run: Id
    number: int
    started_at: datetime
    ended_at: datetime | None
    outcome: str = Field(description="Empty while it is under way.")
    reason: str


class ActedRun(Answer):
    """A run after an act: one action for one target of a plan."""

    id: Id
    plan: Id
    sync: Id
    rule: str
    section: Literal["actions", "onFailure"]
    action: str
    handler: str
    wave: int
    target: str
    state: RunState
    reason: str
    attempts: int
    due_at: datetime | None
    ended_at: datetime | None
    parameters: Any = Field(description="Rendered; a secret is only referred to.")
    output: Any


class Run(ActedRun):
    """A run as lists show it."""

    application: str


class RunWithTries(Run):
    """A run with its attempts."""

    tries: list[Attempt]


class RunStory(RunWithTries):
    """A run with all that the trail says of it."""

    events: list[Event]


class Plan(Answer):
    """One rule applied to one sync, or with debounce to several."""

    id: Id
    sync: Id = Field(description="The newest of its syncs.")
    rule: str
    application: str
    mode: Literal["run", "observe"]
    state: PlanState
    reason: str
    rule_set: str
    created_at: datetime
    due_at: datetime | None = Field(description="When a plan that collects syncs starts.")
    ended_at: datetime | None
    targets: list[dict[str, Any]]
    concurrency_key: str | None


class PlanWithRuns(Plan):
    """A plan with its runs and attempts."""

    syncs: list[Id]
    runs: list[RunWithTries]


class PlanStory(PlanWithRuns):
    """A plan with all that the trail says of it."""

    events: list[Event]


class Sync(Answer):
    """One operation of one Application."""

    id: Id
    sender: str
    channel: str
    application: str
    phase: str
    revision: str
    started_at: datetime | None
    finished_at: datetime | None
    received_at: datetime
    resources: int
    changed: int
    state: SyncState
    reason: str
    planned_at: datetime | None


class SyncWithPlans(Sync):
    """A sync with its plans."""

    plans: list[Plan]


class Delivery(Answer):
    """A notification as it was stored."""

    id: str
    sync: Id | None
    received_at: datetime
    verdict: DeliveryVerdict
    reason: str
    size: int
    sender: str


class SyncStory(Sync):
    """A sync with all that belongs to it, and why each rule matched or not."""

    deliveries: list[Delivery]
    plans: list[PlanWithRuns]
    events: list[Event]
    explanation: list[dict[str, Any]] | None


class Syncs(Answer):
    """A page of syncs."""

    syncs: list[SyncWithPlans]
    next: str | None


class Plans(Answer):
    """A page of plans."""

    plans: list[Plan]
    next: str | None


class Runs(Answer):
    """A page of runs."""

    runs: list[Run]
    next: str | None


class Events(Answer):
    """A page of the trail."""

    events: list[Event]
    next: int = Field(description="Give it as `after` to go on, also from an empty page.")
    more: bool = Field(description="Whether there may be more already.")


class Pause(Answer):
    """What is paused."""

    scope: Literal["all", "rule", "handler"]
    name: str
    by: str
    at: datetime
    reason: str


class Pauses(Answer):
    """All that is paused."""

    pauses: list[Pause]


class Paused(Answer):
    """A pause that is in force."""

    pause: Pause | None
    warning: str = Field(description="Why the pause stops nothing now; empty where it does.")


class Resumed(Answer):
    """Whether there was a pause to lift."""

    resumed: bool


class OneRun(Answer):
    """The run that was acted on."""

    run: ActedRun


class OnePlan(Answer):
    """The plan that was acted on, and the runs that this changed."""

    plan: Plan
    runs: list[Id]


class CancelledSync(Answer):
    """What was cancelled of a sync."""

    sync: Id
    plans: list[Id]
    runs: list[Id]


class Retried(Answer):
    """The runs that are retried."""

    retried: int
    runs: list[Id]
    more: bool = Field(description="Whether there are more of the chosen ones.")
    until: datetime = Field(description="Give it again to ask for the rest.")


class Replay(Answer):
    """A replay that the dispatcher will plan."""

    id: str
    sync: Id
    rule: str | None
    by: str
    reason: str


class Replayed(Answer):
    """The replay that was asked for."""

    replay: Replay


class Health(Answer):
    """Whether everything is alive."""

    healthy: bool
    reasons: list[str]


class Ready(Answer):
    """Whether a notification can be stored, and the details."""

    ready: bool
    reasons: list[str]
    rules: dict[str, Any]
    dispatcher: dict[str, Any]
    pauses: list[Pause]
