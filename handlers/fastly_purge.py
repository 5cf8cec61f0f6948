"""`fastly.purge`: take objects out of Fastly's cache.

https://www.fastly.com/documentation/reference/api/purging/
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any

from pydantic import Field, model_validator

from receiver.contract import (
    Call,
    Filled,
    Handler,
    Outcome,
    Params,
    Rate,
    Secret,
    Succeeded,
    TemporaryError,
    by_parameters,
    host_of,
    in_batches,
    raise_for_status,
    send_each,
    wrong_shape,
)

HOUR = 3600.0
"""Seconds of the window over which the API counts."""

KEYS_A_REQUEST = 256
"""The reference's "Purge multiple surrogate key tags": up to 256 keys a request."""


class FastlyPurge(Params):
    """What to purge: one of urls, keys, or everything."""

    service: str | None = Field(
        default=None, description="Id of the service, for keys and everything."
    )
    token: Secret = Field(description="API token.", min_length=1)
    urls: Annotated[tuple[str, ...] | None, Filled()] = Field(
        default=None, description="Objects, by host and path: `www.example.com/logo.png`."
    )
    keys: Annotated[tuple[str, ...] | None, Filled()] = Field(
        default=None, description="Surrogate keys."
    )
    everything: bool = Field(default=False, description="The whole service; it is never soft.")
    soft: bool = Field(
        default=False,
        description="Mark as stale instead: served while the origin is asked again.",
    )
    api: str = Field(default="https://api.fastly.com", description="Address of the API.")

    @model_validator(mode="after")
    def one_kind(self) -> FastlyPurge:
        """Refuse none and several, and what the API cannot do."""
        given = (self.urls is not None) + (self.keys is not None) + self.everything
        if given != 1:
            raise wrong_shape("give one of urls, keys, or everything: true")
        if self.urls is None and self.service is None:
            raise wrong_shape("keys and everything need the service")
        if self.everything and self.soft:
            raise wrong_shape("everything cannot be purged softly")
        return self


def run(params: FastlyPurge, call: Call) -> Outcome:
    """Purge; keys go 256 to a request, URLs have one each."""
    if params.everything:
        _post(params, call, f"/service/{params.service}/purge_all")
        return Succeeded({"everything": True, "requests": 1})
    if params.keys is not None:
        batches = in_batches(params.keys, KEYS_A_REQUEST)
        send_each(call.state, batches, partial(_purge_keys, params, call))
        return Succeeded({"keys": sum(map(len, batches)), "requests": len(batches)})
    urls = [batch[0] for batch in in_batches(params.urls or (), 1)]
    send_each(call.state, urls, partial(_purge_url, params, call))
    return Succeeded({"urls": len(urls), "requests": len(urls)})


def _purge_keys(params: FastlyPurge, call: Call, keys: list[str]) -> None:
    _post(params, call, f"/service/{params.service}/purge", {"surrogate_keys": keys})


def _purge_url(params: FastlyPurge, call: Call, url: str) -> None:
    _post(params, call, f"/purge/{url.removeprefix('https://').removeprefix('http://')}")


def _post(
    params: FastlyPurge, call: Call, path: str, body: Mapping[str, Any] | None = None
) -> None:
    headers = {"Fastly-Key": params.token, "Accept": "application/json"}
    if params.soft:
        headers["fastly-soft-purge"] = "1"
    if body is not None:
        headers["Content-Type"] = "application/json"
    text = None if body is None else json.dumps(body).encode()
    answer = call.http.send("POST", params.api + path, headers=headers, body=text)
    try:
        raise_for_status(answer, now=call.now)
    except TemporaryError as error:
        reset = answer.headers.get("fastly-ratelimit-reset", "")
        if error.limited and error.delay is None and reset.isdecimal():
            delay = min(max(0.0, float(reset) - call.now.timestamp()), HOUR)
            raise TemporaryError(error.message, delay=delay, limited=True) from None
        raise


EXAMPLE = """\
service: SU1Z0isxPaozGVKXdv0eY
token: {env: POSTSYNC_SECRET_FASTLY}
keys: "${{ resources.map(r, r.name) }}"
soft: true
"""

handler = Handler(
    name="fastly.purge",
    summary="Purge Fastly's cache by URL, surrogate key, or whole.",
    params=FastlyPurge,
    run=run,
    example=EXAMPLE,
    confine=by_parameters,
    output="`keys` or `urls`, how many there were, or `everything: true`; `requests`.",
    errors="A 429 is waited for until `Fastly-RateLimit-Reset`, where there is no Retry-After.",
    lane=host_of("api"),
    # https://www.fastly.com/documentation/reference/api/#rate-limiting: 100,000 purges an hour.
    rate=Rate(per_second=100_000 / HOUR, burst=100),
    permissions="An API token with the scope `purge_select` (urls, keys) or `purge_all` "
    "(everything), limited to that service.",
)
