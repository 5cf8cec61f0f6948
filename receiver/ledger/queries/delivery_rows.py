"""A delivery with its notification, and what became of it: the rows that the API shows of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from receiver.core.states import PlanState, SyncState
from receiver.ledger.queries.rows import Delivery, Id, Time, written_as_text


class MadePlan(TypedDict):
    """A plan of a sync, in short."""

    id: Id
    rule: str
    mode: Literal["run", "observe"]
    state: Annotated[str, written_as_text(PlanState)]
    targets: NotRequired[
        Annotated[
            list[str],
            Field(
                description="The keys of the sync's resources; none for a rule without `resources`."
            ),
        ]
    ]


class DeliveredSync(TypedDict):
    """What became of a delivery."""

    delivery: Annotated[Id, Field(description="The first one of this sync: it has the body.")]
    application: str
    phase: str
    finishedAt: Time | None
    state: Annotated[str, written_as_text(SyncState)]
    reason: str
    recalled: NotRequired[
        Annotated[
            Any,
            Field(
                description="What was known beside the notification when it was planned: images of "
                "before, failed syncs, what its live objects told. For `postsync explain` and "
                "`backtest`; its form may change. Null while it is not planned."
            ),
        ]
    ]
    plans: list[MadePlan]


class StoredDelivery(Delivery):
    """A delivery, and what became of it."""

    channel: str
    query: dict[str, str]
    outcome: Annotated[DeliveredSync | None, Field(description="Null for what was refused.")]


Notification = Annotated[
    Any, Field(description="Its JSON; null where it is none, or is not kept: see `note`.")
]
Text = Annotated[str, Field(description="The body where it is no JSON.")]
Note = Annotated[str, Field(description="Why there is no body, and where it is; else empty.")]


class DeliveryStory(StoredDelivery):
    """A delivery with the notification as it came, credentials masked."""

    notification: Notification
    text: Text
    note: Note


class ListedDelivery(StoredDelivery):
    """A delivery as lists show it; what is bulky of it only where ``fields`` asks."""

    notification: NotRequired[Notification]
    text: NotRequired[Text]
    note: NotRequired[Note]
