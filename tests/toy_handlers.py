"""Handlers for tests of what is around handlers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from receiver.contract import (
    Call,
    Cel,
    Filled,
    Handler,
    Headers,
    Outcome,
    Params,
    Secret,
    Succeeded,
)
from receiver.rules.handlers.registry import Registry


class Ask(Params):
    """How to ask again."""

    url: str = Field(description="Address to ask.")
    until: Annotated[str, Cel("answer")] = Field(description="CEL over the answer.")


class Post(Params):
    """Parameters of toy.post."""

    url: str = Field(description="Where to send.", min_length=1)
    method: Literal["GET", "POST", "PUT"] = Field(default="POST", description="The verb.")
    headers: Headers = Field(default={}, description="Headers.")
    token: Secret | None = Field(default=None, description="A token.")
    tags: Annotated[list[str] | None, Filled()] = Field(default=None, description="Tags.")
    json_: object = Field(default=None, alias="json", description="A body as a tree.")
    body: str | None = Field(default=None, description="A body as text.")
    expect: list[int] = Field(default=[], description="Statuses that count as success.")
    poll: Ask | None = Field(default=None, description="Ask until it is done.")

    @model_validator(mode="after")
    def _one_body(self) -> Post:
        if self.json_ is not None and self.body is not None:
            raise ValueError("json and body exclude each other")
        return self


class Say(Params):
    """Parameters of toy.say."""

    text: str = Field(description="What to say.")
    times: int = Field(default=1, ge=1, le=9, description="How often.")


def _nothing(params: Params, call: Call) -> Outcome:
    return Succeeded({"params": len(params.model_fields_set), "run": call.run})


post = Handler(
    name="toy.post",
    summary="Sends one request.",
    params=Post,
    run=_nothing,
    example="url: http://127.0.0.1/\njson: {a: 1}\n",
)
say = Handler(
    name="toy.say", summary="Says something.", params=Say, run=_nothing, example="text: hello\n"
)


def toy_registry() -> Registry:
    """Return a registry with both."""
    return Registry([post, say])
