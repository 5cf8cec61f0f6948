"""The bodies of what operators ask for: JSON, or nothing where all of it may be left out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from receiver.contract.durations import seconds
from receiver.core.validation import field_errors
from receiver.web.body import read_body
from receiver.web.problem_details import Refusal

LARGEST = 16 << 10
"""Bytes of a body; the longest reason fills a small part of it."""

MANY = 1000
"""Runs that one request may retry: some seconds of work for the ledger."""


def moment(text: str, now: datetime | None = None) -> datetime:
    """Read an RFC 3339 time, or a duration back from now such as ``2h``.

    Raises:
        ValueError: it is neither.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        try:
            return (now or datetime.now(UTC)) - timedelta(seconds=seconds(text))
        except ValueError:
            raise ValueError("is no time; write 2h, 7d or 2026-06-01T12:00:00Z") from None
    if found.tzinfo is None:
        raise ValueError("is a time without its zone; write it as 2026-06-01T12:00:00Z")
    return found


def _checked(text: str) -> str:
    moment(text)
    return text


Moment = Annotated[str, AfterValidator(_checked), Field(max_length=40)]
Name = Annotated[str, Field(max_length=253)]


class Body(BaseModel):
    """Strict, with camelCase keys; an unknown key is an error."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, alias_generator=to_camel, populate_by_name=True
    )


class Why(Body):
    """An act that needs no more than its path."""

    reason: str = Field(default="", max_length=500, description="Why, for the trail.")


class Repeat(Why):
    """What is to be done again."""

    with_rules_in_force: bool = Field(
        default=False,
        description="Do it also while the rule files are refused, so that older rules are in "
        "force than those that are written.",
    )


class ReplayBody(Repeat):
    """A sync that is to be planned anew."""

    rule: Name = Field(default="", description="The only rule that counts; all of them if absent.")


class RetryBody(Repeat):
    """Which failed runs are retried: those that all of the filters let through."""

    state: Literal["failed"] = Field(default="failed", description="Only what failed is retried.")
    rule: Name = Field(default="", description="Of this rule.")
    handler: Name = Field(default="", description="Of this handler.")
    application: str = Field(
        default="", max_length=507,
        description="Of this Application: namespace/name, or the name alone.",
    )  # fmt: skip
    since: Moment | None = Field(
        default=None,
        description="Failed since then: a time, or a duration back from now.",
        examples=["2h", "2026-06-01T12:00:00Z"],
    )
    until: Moment | None = Field(default=None, description="Failed before then.", examples=["1h"])
    all_: bool = Field(default=False, alias="all", description="Whatever failed, unfiltered.")
    limit: int = Field(
        default=MANY, ge=1, le=MANY, description="How many at most, the oldest failures first."
    )

    @model_validator(mode="after")
    def _meant(self) -> RetryBody:
        if not (self.rule or self.handler or self.application or self.since or self.all_):
            raise ValueError(
                "says of no run that it is meant: give rule, handler, application or since, "
                'or "all": true'
            )
        return self


B = TypeVar("B", bound=Body)


def read_act(environ: dict[str, Any], model: type[B]) -> B:
    """Read the request's body; nothing at all is an empty one.

    Raises:
        Refusal: 400, it is no JSON object, or not of this model; 413 and 408 as `read_body`.
    """
    text = read_body(environ, LARGEST, what="body", smaller="a reason has up to 500 characters")
    tree = _json(text) if text.strip() else {}
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        found = field_errors(error, model, tree)
        raise Refusal("bad_body", "; ".join(map(str, found)), hint=_hint(model)) from None


def _json(text: bytes) -> Mapping[str, Any]:
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError):
        raise Refusal("not_json", "the body is no JSON") from None
    if not isinstance(tree, dict):
        raise Refusal("bad_body", "the body is no JSON object")
    return tree


def _hint(model: type[Body]) -> str:
    names = sorted(field.alias or name for name, field in model.model_fields.items())
    return f"it may have {', '.join(names)}"
