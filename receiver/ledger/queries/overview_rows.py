"""What `GET /v1/status` says out of the ledger; as in `receiver.ledger.queries.rows`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from receiver.ledger.queries.rows import DispatcherStatus, Id, Pause, RulesStatus, Time


class RulesInForce(RulesStatus):
    """Which rules are in force, and of which files."""

    files: list[str]


class Group(TypedDict):
    """How many there are of a kind."""

    count: int
    oldest: Id | None
    madeAt: Annotated[Time | None, Field(description="When the oldest was made.")]


class DueRun(TypedDict):
    """The run that has been due for longest; what is paused is not due."""

    run: Id
    rule: str
    handler: str
    dueAt: Time


class HandlerFailures(TypedDict):
    """A handler of which something has failed."""

    handler: str
    failed: Annotated[
        int, Field(description="Runs that failed for good in the last hour, and still are failed.")
    ]
    retrying: Annotated[
        int, Field(description="Runs whose last attempt has failed, and that are tried again.")
    ]
    run: Annotated[Id | None, Field(description="The newest that failed for good.")]
    failedAt: Time | None
    reason: str


class SenderNews(TypedDict):
    """What a sender has sent last, among the newest 5,000 notifications of all."""

    sender: str
    lastAt: Annotated[
        Time | None, Field(description="Its newest notification that was understood.")
    ]
    refused: Annotated[int, Field(description="Of the last hour, refused since then.")]
    reason: Annotated[str, Field(description="Why the newest of these was refused.")]


class ConnectionSeen(TypedDict):
    """How a sender's connection to Argo CD does in one of its uses."""

    sender: str
    use: Annotated[str, Field(examples=["watch Applications"])]
    connection: str
    works: bool
    since: Time
    seenAt: Annotated[Time, Field(description="When it was last seen so.")]
    tried: Annotated[bool, Field(description="Whether it was seen so in the last ten minutes.")]
    reason: Annotated[str, Field(description="Why it does not work.")]


class Overview(TypedDict):
    """What the ledger knows of the instance as a whole."""

    at: Time
    rules: RulesInForce
    dispatcher: DispatcherStatus
    pauses: list[Pause]
    syncs: Annotated[
        dict[str, Group],
        Field(description="Those that are `new` or `verifying`, and `failed` in the last hour."),
    ]
    plans: Annotated[
        dict[str, Group],
        Field(description="Those that are open, by state; `awaiting` are the `collecting` ones "
              "that wait for Applications."),
    ]  # fmt: skip
    runs: Annotated[dict[str, Group], Field(description="Those that are open, by state.")]
    oldestDue: DueRun | None
    handlers: list[HandlerFailures]
    senders: list[SenderNews]
