"""The answers of the API, as its document describes them; a test holds the server to it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from receiver.core.model import DeliveryVerdict
from receiver.web.openapi.resources import (
    ActedRun,
    Answer,
    Event,
    Id,
    Open,
    Pause,
    Plan,
    Run,
    SyncWithPlans,
)

UnheardOf = Annotated[
    str,
    Field(
        description="Where nothing is found: which filter is a name that nothing has, and which "
        "name may have been meant. Else empty."
    ),
]


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


class Syncs(Answer):
    """A page of syncs."""

    syncs: list[SyncWithPlans]
    next: str | None
    warning: UnheardOf


class Plans(Answer):
    """A page of plans."""

    plans: list[Plan]
    next: str | None
    warning: UnheardOf


class Runs(Answer):
    """A page of runs."""

    runs: list[Run]
    next: str | None
    warning: UnheardOf


class Events(Answer):
    """A page of the trail."""

    events: list[Event]
    next: int = Field(description="Give it as `after` to go on, also from an empty page.")
    more: bool = Field(description="Whether there may be more already.")
    warning: UnheardOf


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
    warning: UnheardOf


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
