"""What is shown beside an Application in Argo CD; as in `receiver.ledger.queries.rows`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from receiver.core.states import PlanState, RunState, SyncState
from receiver.ledger.queries.rows import Id, Time, written_as_text

RunCounts = Annotated[
    dict[Annotated[str, written_as_text(RunState)], int],
    Field(description="How many runs are in which state."),
]


class PlanOfApplication(TypedDict):
    """One rule applied to a sync; of one that collects others' syncs, too, only rule and state."""

    id: Id
    rule: str
    state: Annotated[str, written_as_text(PlanState)]
    reason: str
    waitsFor: str
    runs: RunCounts


class SyncOfApplication(TypedDict):
    """One operation, and what came of it."""

    id: Id
    channel: str
    phase: str
    revision: str
    finishedAt: Time | None
    receivedAt: Time
    state: Annotated[str, written_as_text(SyncState)]
    reason: str
    resources: int
    changed: int | None
    plans: list[PlanOfApplication]


class RunOfApplication(TypedDict):
    """One action for one target, without what was sent; a reason may quote an answer."""

    id: Id
    plan: Id
    action: str
    handler: str
    wave: int
    target: str
    state: Annotated[str, written_as_text(RunState)]
    reason: str
    waitsFor: str
    attempts: int
    endedAt: Time | None


class ApplicationSyncs(TypedDict):
    """The newest syncs of one Application."""

    application: Annotated[str, Field(examples=["argocd/shop"])]
    project: str
    page: Annotated[
        str | None,
        Field(description="Where people see more of a sync: this with `/SYNC` (`pageUrl`)."),
    ]
    syncs: list[SyncOfApplication]


class ApplicationRuns(TypedDict):
    """The runs of one sync of an Application: those that did not succeed come first."""

    runs: list[RunOfApplication]
    more: Annotated[int, Field(description="How many are left out.")]
