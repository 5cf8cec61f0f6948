"""What `GET /v1/rules` says of the rules in force; as in `receiver.ledger.queries.rows`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from receiver.core.states import PlanState
from receiver.ledger.queries.rows import Id, Pause, Time, written_as_text


class RuleOutline(TypedDict):
    """A rule as its file has it, as far as lists show it."""

    rule: str
    file: str
    line: int
    description: str
    enabled: bool
    mode: Literal["run", "observe"]
    channel: Annotated[list[str], Field(description="The channels that it takes, as globs.")]
    handlers: list[str]


class LastMatch(TypedDict):
    """The newest plan of a rule: what it matched last, and what came of it."""

    plan: Id
    sync: Id
    application: str
    at: Time
    state: Annotated[str, written_as_text(PlanState)]
    reason: str


class RuleInForce(RuleOutline):
    """A rule in force, and how it does; or a PostSyncRule that cannot be, and why."""

    ready: Annotated[
        bool, Field(description="Whether it is in force as it is written now; of a PostSyncRule.")
    ]
    message: Annotated[str, Field(description="The same of a PostSyncRule in words.")]

    failing: Annotated[bool, Field(description="Whether its newest plan has failed.")]
    pauses: Annotated[
        list[Pause], Field(description="Those that hold all of it back, or one of its handlers.")
    ]
    lastMatched: LastMatch | None
    plans: Annotated[
        dict[Annotated[str, written_as_text(PlanState)], int],
        Field(description="Its plans since `countedSince`, by state."),
    ]


class RuleList(TypedDict):
    """The rules in force: those that fail first, the others as their files have them."""

    digest: str | None
    loadedAt: Time | None
    refused: Annotated[bool, Field(description="Whether newer files were refused.")]
    countedSince: Annotated[
        Time,
        Field(description="A day ago, or as long as the newest 100,000 plans of all rules reach."),
    ]
    rules: list[RuleInForce]
