"""The JSON that the API answers, where it is not a row of the ledger itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, NotRequired

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from receiver.core.model import DeliveryVerdict
from receiver.inspection.explain import RuleFinding
from receiver.ledger.queries import rows
from receiver.ledger.queries.delivery_rows import ListedDelivery
from receiver.ledger.queries.rows import Id, written_as_text

NothingFound = Annotated[
    str, Field(description="Where nothing is found: which filter is a name that nothing has, and "
               "which name may have been meant. Else empty.")
]  # fmt: skip


@with_config(ConfigDict(extra="allow"))
class Open(TypedDict):
    """These keys and others."""


@with_config(ConfigDict(extra="allow"))
class Problem(TypedDict):
    """What is wrong, and the way out (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    reason: Annotated[str, Field(description="A stable word for programs.")]
    hint: NotRequired[Annotated[str, Field(description="The way out.")]]


class Receipt(TypedDict):
    """A notification that is on disk."""

    delivery: str
    sync: str
    verdict: Annotated[str, written_as_text(DeliveryVerdict)]
    reason: str


class MessageReceipt(TypedDict):
    """A message that is on disk."""

    message: str


class Syncs(TypedDict):
    """A page of syncs."""

    syncs: list[rows.SyncWithPlans]
    next: str | None
    warning: NothingFound


class Deliveries(TypedDict):
    """A page of stored notifications."""

    deliveries: list[ListedDelivery]
    next: str | None
    warning: NothingFound


class Plans(TypedDict):
    """A page of plans."""

    plans: list[rows.Plan]
    next: str | None
    warning: NothingFound


class Runs(TypedDict):
    """A page of runs."""

    runs: list[rows.Run]
    next: str | None
    warning: NothingFound


class Events(TypedDict):
    """A page of the trail."""

    events: list[rows.Event]
    next: Annotated[int, Field(description="Give it as `after` to go on, also from an empty page.")]
    more: Annotated[bool, Field(description="Whether there may be more already.")]
    warning: NothingFound


NextPart = Annotated[
    str | None,
    Field(
        description="The `cursor` of the next page, null on the last one. A page has the next "
        "runs, each below its plan, or attempts, the next lines of the trail, and so on."
    ),
]


class PlanPage(rows.PlanStory):
    """A plan with what belongs to it, a page at a time."""

    next: NextPart


class RunPage(rows.RunStory):
    """A run with what belongs to it, a page at a time."""

    next: NextPart


class SyncStory(rows.SyncDetails):
    """A sync with what belongs to it, a page at a time, and why each rule matched or not."""

    next: NextPart
    explanation: Annotated[
        list[RuleFinding] | None,
        Field(description="Null for a sync that was not planned, or cannot be explained (now), and "
              "on further pages. It has 10,000 of the verdicts on resources at most."),
    ]  # fmt: skip
    explanationNote: Annotated[  # noqa: N815 a key of the API
        str, Field(
            description="What is left out of `explanation`, or why there is none, and what to do."
        ),
    ]  # fmt: skip


class Pauses(TypedDict):
    """All that is paused."""

    pauses: list[rows.Pause]


class Paused(TypedDict):
    """A pause that is in force."""

    pause: rows.Pause | None
    warning: Annotated[
        str, Field(description="Why the pause stops nothing now; empty where it does.")
    ]


class Resumed(TypedDict):
    """Whether there was a pause to lift."""

    resumed: bool


class OneRun(TypedDict):
    """The run that was acted on."""

    run: rows.ActedRun


class OnePlan(TypedDict):
    """The plan that was acted on, and the runs that this changed."""

    plan: rows.ActedPlan
    runs: list[Id]


class CancelledSync(TypedDict):
    """What was cancelled of a sync."""

    sync: Id
    plans: list[Id]
    runs: list[Id]


class Retried(TypedDict):
    """The runs that are retried."""

    retried: int
    runs: list[Id]
    more: Annotated[bool, Field(description="Whether there are more of the chosen ones.")]
    until: Annotated[rows.Time, Field(description="Give it again to ask for the rest.")]
    warning: NothingFound


class Replay(TypedDict):
    """A replay that the dispatcher will plan."""

    id: str
    sync: Id
    rule: str | None
    by: str
    reason: str


class Replayed(TypedDict):
    """The replay that was asked for."""

    replay: Replay


class Health(TypedDict):
    """Whether everything is alive."""

    healthy: bool
    reasons: list[str]


class Ready(TypedDict):
    """Whether a notification can be stored, and the details."""

    ready: bool
    reasons: list[str]
    rules: NotRequired[Mapping[str, object]]
    dispatcher: NotRequired[Mapping[str, object]]
    pauses: NotRequired[list[rows.Pause]]
