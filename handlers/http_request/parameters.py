"""What stands under `with` of `http.request`."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from receiver.contract import Cel, Duration, Headers, Params, Secret, Sent

STATUS = re.compile(r"[1-5](?:xx|\d\d)")


def _statuses(value: tuple[int | str, ...]) -> tuple[int | str, ...]:
    for one in value:
        if not STATUS.fullmatch(str(one)):
            raise ValueError(f"{one!r} is neither a status like 201 nor a class like 2xx")
    return value


Statuses = Annotated[tuple[int | str, ...], AfterValidator(_statuses), Field(min_length=1)]


def _address(value: str) -> str:
    if not value.startswith(("http://", "https://")):
        raise ValueError("must begin with http:// or https://")
    return value


Address = Annotated[str, AfterValidator(_address)]
Method = Annotated[str, Field(pattern=r"^[A-Z]{1,32}$")]


class Poll(Params):
    """Where to ask how the started thing is getting on.

    In the expressions ``answer`` is ``{status, headers, body, json, truncated}``: in `url` that
    of the start, in `until` and `failed` the one that was just asked for.
    """

    url: Annotated[str, Cel("answer")] = Field(
        description="CEL: the address to ask, made of the start's answer, for example "
        "`answer.json.url` or `answer.headers.location`; it may be relative to `url`."
    )
    method: Method = Field(default="GET", description="HTTP method of asking.")
    headers: Headers = Field(
        default={},
        description="Headers of asking. The other side names the address, so with headers it must "
        "have the scheme, host and port of the `url` that was called first, or a host of "
        "`trustedHosts`.",
    )
    trusted_hosts: tuple[str, ...] = Field(
        default=(),
        description="Further hosts that `headers` may be sent to, over https, for example "
        "`status.example.com`.",
    )
    every: Duration = Field(
        default=10.0, ge=1, description="Time between two askings; a Retry-After may lengthen it."
    )
    until: Annotated[str, Cel("answer")] = Field(
        description="CEL: whether it has ended well, for example `answer.json.state == 'done'`."
    )
    failed: Annotated[str, Cel("answer")] | None = Field(
        default=None, description="CEL: whether it has failed, for good. It is asked first."
    )
    expect: Statuses = Field(
        default=("2xx",), description="Statuses, or classes of them, of an answer to asking."
    )


class HttpRequest(Params):
    """One HTTP request."""

    url: Address = Field(description="Address, http or https. A redirect is not followed.")
    method: Method = Field(default="POST", description="HTTP method.")
    headers: Headers = Field(
        default={},
        description="Headers, by name; `Authorization`, `Cookie` and their like take nothing but "
        "a reference to a secret.",
    )
    body: str | None = Field(default=None, description="Body, as it is sent.")
    json_: Annotated[Any, Sent()] = Field(
        default=None,
        alias="json",
        description="Body as a tree, sent as JSON; instead of `body`. A reference to a secret can "
        "stand anywhere in it; a literal under a key like `password` or `token` is refused.",
    )
    expect: Statuses = Field(
        default=("2xx",), description="Statuses, or classes of them, that count as success."
    )
    signing_secret: Secret | None = Field(
        default=None,
        description="Secret of Standard Webhooks, base 64 with or without `whsec_`: signs the "
        "request with webhook-id, webhook-timestamp and webhook-signature.",
    )
    capture_limit: int = Field(
        default=65_536,
        ge=0,
        le=1_048_576,
        description="Bytes of an answer's body that are read: kept as output, and seen by the "
        "expressions of `poll`. `answer.json` is null for a longer one.",
    )
    poll: Poll | None = Field(
        default=None, description="For what takes longer: ask until it has ended."
    )

    @property
    def has_json(self) -> bool:
        """Whether `json` was given, be it null."""
        return "json_" in self.model_fields_set

    @model_validator(mode="after")
    def one_body(self) -> HttpRequest:
        """Refuse two bodies."""
        if self.body is not None and self.has_json:
            raise ValueError("give body or json, not both")
        return self
