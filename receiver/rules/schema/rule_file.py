"""Rules, their actions, how their plans behave, and the file. Durations are seconds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag
from pydantic_core import CoreSchema

from receiver.contract import Duration
from receiver.rules.schema.debounce import Debounce
from receiver.rules.schema.match import Match, Strict
from receiver.rules.schema.throttle import Throttle

Mode = Literal["run", "observe"]
OnNewer = Literal["parallel", "queue", "supersede"]
OnUnknownChange = Literal["run", "skip"]
Verify = Literal["auto", "always", "never"]


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


ACTION_NAME = re.compile(r"([A-Za-z_][A-Za-z0-9_-]*)?")


def _action_name(value: str) -> str:
    if not ACTION_NAME.fullmatch(value):
        raise ValueError(
            "must have letters, digits, underscores and dashes only, a letter or underscore first"
        )
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
        description="Its name in `actions.NAME`, with dashes `actions['NAME']`; by default `uses` "
        "with underscores, numbered from the second one on.",
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


LONGEST_HOLD = 30 * 86400.0


def _hold(value: float) -> float:
    if not 1 <= value <= LONGEST_HOLD:
        raise ValueError("must be from 1s to 30d")
    return value


class Suspend(Strict):
    """Runs wait to be approved, and are cancelled if nobody does."""

    expires: Annotated[Duration, AfterValidator(_hold)] = Field(
        description="How long they wait, from 1s to 30d; then they are cancelled."
    )


def _kind_of_suspend(value: Any) -> str | None:
    if isinstance(value, bool):
        return "word"
    return "mapping" if isinstance(value, Mapping | Suspend) else None


class _AnyOf:
    """Describes a choice by types as editors and the definition's maker know it."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: Any) -> dict[str, Any]:
        return {"anyOf": handler(core)["oneOf"]}


Suspended = Annotated[
    Annotated[bool, Tag("word")] | Annotated[Suspend, Tag("mapping")],
    Discriminator(
        _kind_of_suspend,
        custom_error_type="suspend",
        custom_error_message="must be true, false or a mapping like {expires: 24h}",
    ),
    _AnyOf(),
]
"""The choice is by the type, so that a mistake in the mapping is none of the other one too."""


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
    suspend: Suspended = Field(
        default=False,
        description="Each of its runs is rendered and waits to be approved, without end, or until "
        "it expires.",
    )

    @property
    def expires(self) -> float | None:
        """After how many seconds a run that nobody has approved is cancelled; None: never."""
        return self.suspend.expires if isinstance(self.suspend, Suspend) else None


class Concurrency(Strict):
    """At most `limit` plans with the same key are under way at one time; others wait in order."""

    key: str = Field(default="", description="A string with ${{ }}; empty: one key for the rule.")
    limit: int = Field(default=1, ge=1, description="Plans under way at one time.")


class Limits(Strict):
    """A guard against a mass sync, of a bootstrap or a disaster recovery."""

    max_targets: int = Field(ge=1, description="Resources that a plan may have without a word.")
    otherwise: Literal["hold", "batch"] = Field(
        default="hold",
        description="What becomes of a plan with more: hold keeps it until it is approved, batch "
        "takes so many resources at a time, and stops at the first that fail.",
    )


class WaitFor(Strict):
    """No action before the resources that matched are healthy, by the sender's connection."""

    healthy: Duration = Field(gt=0, description="The plan waits no longer than this.")
    otherwise: Literal["fail", "go"] = Field(
        default="fail",
        description="What becomes of the plan then, or where nobody can know: it fails, or it "
        "starts all the same.",
    )


class Defaults(Strict):
    """What the rules of the same file have where they say nothing."""

    retry: Retry = RETRY
    timeout: Duration = TIMEOUT
    deadline: Duration = DEADLINE
    concurrency: Concurrency | None = None
    on_unknown_change: OnUnknownChange = "run"
    verify: Verify = "auto"
    mode: Mode = "run"
    finally_: tuple[Action, ...] = Field(default=(), alias="finally")
    on_failure: tuple[FailureAction, ...] = ()


RULE_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


def _rule_name(value: str) -> str:
    if not RULE_NAME.fullmatch(value):
        raise ValueError("must have lower case letters, digits, dashes and dots only")
    return value


RuleName = Annotated[
    str,
    Field(max_length=100, json_schema_extra={"pattern": f"^{RULE_NAME.pattern}$"}),
    AfterValidator(_rule_name),
]


class Rule(Strict):
    """A match and its actions."""

    name: RuleName = Field(
        description="Unique over all files: lower case letters, digits, dashes and dots."
    )
    description: str = Field(default="", description="Why the rule is there.")
    enabled: bool = Field(default=True, description="false: the rule matches nothing.")
    match: Match = Field(description="When the rule applies.")
    on_unknown_change: OnUnknownChange = Field(
        default="run", description="Whether a resource counts as changed where nobody can tell."
    )
    verify: Verify = Field(
        default="auto",
        description="Which resources that the rest of `match` selects are judged by the live "
        "object, where the sender has a connection: those whose message says changed or leaves it "
        "open (auto), all of them (always), or none (never).",
    )
    mode: Mode = Field(
        default="run", description="observe plans, renders and logs, and sends nothing."
    )
    concurrency: Concurrency | None = Field(
        default=None, description="How many plans with the same key are under way at one time."
    )
    limits: Limits | None = Field(
        default=None, description="How many resources a plan may have without a word."
    )
    debounce: Debounce | None = Field(
        default=None, description="Collect syncs that come soon after one another into one plan."
    )
    throttle: Throttle | None = Field(
        default=None, description="The first sync at once, those soon after it as one plan."
    )
    wait_for: WaitFor | None = Field(
        default=None, description="Wait with all actions until the resources are healthy."
    )
    on_newer: OnNewer = Field(
        default="parallel",
        description="What becomes of a plan when a newer sync of the application makes another: "
        "both run, the newer waits for it, or what it has not started is left to the newer.",
    )
    retry: Retry = RETRY
    timeout: Duration = TIMEOUT
    deadline: Duration = DEADLINE
    actions: tuple[Action, ...] = Field(min_length=1, description="What is done.")
    finally_: tuple[Action, ...] = Field(
        default=(),
        alias="finally",
        description="What is done after all waves, however they ended: by default once for the "
        "application, with `when: always` and `continueOnError: true`.",
    )
    on_failure: tuple[FailureAction, ...] = Field(
        default=(), description="What is done once when the plan has failed."
    )


class RuleFile(Strict):
    """One file of rules."""

    version: Literal[1] = Field(description="The version of this format.")
    defaults: Defaults = Field(
        default=Defaults(), description="What its rules have where they say nothing."
    )
    rules: tuple[Rule, ...] = Field(description="The rules.")
