"""What the answers of the API show: syncs, plans, runs, and what happened to them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from receiver.core.model import DeliveryVerdict
from receiver.core.states import PlanState, RunState, SyncState
from receiver.rules.matching import Verdict

Id = Annotated[str, Field(examples=["s-1m7y9gr9ez7egy539n"])]


class Answer(BaseModel):
    """camelCase keys, and no others than these."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True)


class Open(BaseModel):
    """These keys and others."""

    model_config = ConfigDict(extra="allow", alias_generator=to_camel, populate_by_name=True)


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
    pending: int = Field(
        description="How often the other side was asked, and still worked on what this has started."
    )
    ended_at: datetime | None
    outcome: str = Field(
        description="Empty while it is under way; `pending` while the other side works on it."
    )
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
    attempts: int = Field(description="How often it was started; asking again is no attempt.")
    due_at: datetime | None
    ended_at: datetime | None
    parameters: Any = Field(description="Rendered; a secret is only referred to.")
    output: Any


class Run(ActedRun):
    """A run as lists show it."""

    application: str
    waits_for: str = Field(
        description="What it waits for, in words: the end of a pause, a time, its turn, a limit, "
        "its wave, its plan's place or approval. Empty where it does not wait."
    )


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
    changed: int | None = Field(description="Resources; null while nobody has planned it.")
    state: SyncState
    reason: str = Field(
        description="Why it is not planned, or not acted upon; of a planned one, why rules took no "
        "part that might have: there are none, or a condition failed."
    )
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


class ResourceFinding(Answer):
    """A rule's verdict on one resource."""

    resource: str
    verdict: Verdict
    reason: str


class RuleFinding(Answer):
    """A rule's verdict on a sync."""

    rule: str
    verdict: Verdict
    reason: str
    resources: list[ResourceFinding] = Field(
        description="In the sync's order. Empty where the sync itself decided."
    )
    more: dict[Verdict, int] = Field(
        description="How many of `resources` are left out, by verdict; what matched is told first."
    )


class SyncStory(Sync):
    """A sync with all that belongs to it, and why each rule matched or not."""

    deliveries: list[Delivery]
    plans: list[PlanWithRuns]
    events: list[Event]
    explanation: list[RuleFinding] | None = Field(
        description="Null for a sync that was not planned, or cannot be explained (now). It has "
        "10,000 of the verdicts on resources at most."
    )
    explanation_note: str = Field(
        description="What is left out of `explanation`, or why there is none, and what to do."
    )


class Pause(Answer):
    """What is paused."""

    scope: Literal["all", "rule", "handler"]
    name: str
    by: str
    at: datetime
    reason: str
