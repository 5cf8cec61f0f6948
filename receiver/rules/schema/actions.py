"""`actions` and `onFailure`: what is done, and how often it is tried. Durations are seconds."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from receiver.contract import Duration
from receiver.rules.schema.match import Strict


class Retry(Strict):
    """Exponential backoff with full jitter."""

    for_: Duration = Field(
        default=3600.0, alias="for", description="Stop trying so long after the first attempt."
    )
    initial_delay: Duration = Field(default=2.0, description="The first delay is at most this.")
    factor: float = Field(
        default=2.0, ge=1, le=10, description="By which the delay grows with each attempt."
    )
    max_delay: Duration = Field(default=300.0, description="No delay of ours is longer.")


class Target(StrEnum):
    """What an action acts on."""

    RESOURCE = "resource"
    BATCH = "batch"
    APPLICATION = "application"


class When(StrEnum):
    """On which state of the earlier waves an action runs."""

    SUCCESS = "success"
    FAILURE = "failure"
    ALWAYS = "always"


ACTION_NAME = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)?")


def _action_name(value: str) -> str:
    if not ACTION_NAME.fullmatch(value):
        raise ValueError("must have letters, digits and underscores only, no digit first")
    return value


ActionName = Annotated[
    str,
    AfterValidator(_action_name),
    Field(max_length=100, json_schema_extra={"pattern": f"^{ACTION_NAME.pattern}$"}),
]
TIMEOUT = Field(default=30.0, description="What one attempt may take.")
DEADLINE = Field(
    default=3600.0,
    description="What a run may take with all its attempts and waiting; by default an hour, or "
    "as long as it is retried.",
)
RETRY = Field(
    default=Retry(), description="How often; what is not given comes from the level above."
)


class FailureAction(Strict):
    """One entry of `onFailure`: it acts on the application, once per plan."""

    name: ActionName = Field(
        default="",
        description="Its name in `actions.NAME`; by default `uses` with underscores.",
    )
    uses: str = Field(description="The handler.")
    with_: dict[str, Any] = Field(default={}, alias="with", description="The handler's parameters.")
    if_: str | None = Field(
        default=None, alias="if", description="CEL; if false, nothing is done, successfully."
    )
    wave: int = Field(default=0, ge=-1000, le=1000, description="Lower waves run first.")
    retry: Retry = RETRY
    timeout: Duration = TIMEOUT
    deadline: Duration = DEADLINE


class Action(FailureAction):
    """One entry of `actions`."""

    target: Target = Field(
        default=Target.RESOURCE,
        description="What it acts on, once each; by default a resource, or the application where "
        "the rule selects no resources.",
    )
    when: When = Field(
        default=When.SUCCESS, description="On which state of the earlier waves it runs."
    )
    continue_on_error: bool = Field(
        default=False, description="Its failure does not stop the later waves."
    )
    suspend: bool = Field(
        default=False, description="Each of its runs is rendered and waits to be approved."
    )
