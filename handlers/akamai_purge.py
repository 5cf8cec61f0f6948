"""`akamai.purge`: invalidate or delete objects in Akamai's cache (Fast Purge, CCU v3).

https://techdocs.akamai.com/purge-cache/reference/api; the library edgegrid signs the requests.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from types import SimpleNamespace
from typing import Annotated, Literal

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

BODY = 50_000
"""Bytes of a request's body (https://techdocs.akamai.com/purge-cache/reference/413)."""

MOST = {"url": 10_000, "tag": 5_000, "cpcode": 300}
"""Objects that a full bucket has tokens for: a request with more is never taken
(https://techdocs.akamai.com/purge-cache/reference/rate-limiting)."""

LIMITED_FOR = 5.0
"""Seconds to wait after a 429 (https://techdocs.akamai.com/purge-cache/reference/429)."""

CpCode = Annotated[int, Field(ge=1)]


class AkamaiPurge(Params):
    """Which objects, one of urls, tags, cpCodes, and as whom."""

    api: str = Field(
        description="Address of the API, with the host of the credentials: "
        "`https://akab-....purge.akamaiapis.net`.",
        pattern="^https?://[^/]+$",
    )
    client_token: Secret = Field(description="Client token.", min_length=1)
    client_secret: Secret = Field(description="Client secret.", min_length=1)
    access_token: Secret = Field(description="Access token.", min_length=1)
    urls: Annotated[tuple[str, ...] | None, Filled()] = Field(
        default=None, description="URLs of objects."
    )
    tags: Annotated[tuple[str, ...] | None, Filled()] = Field(
        default=None, description="Cache tags."
    )
    cp_codes: Annotated[tuple[CpCode, ...] | None, Filled()] = Field(
        default=None, description="CP codes."
    )
    action: Literal["invalidate", "delete"] = Field(
        default="invalidate",
        description="`invalidate` marks as stale: served while the origin cannot be reached. "
        "`delete` removes.",
    )
    network: Literal["production", "staging"] = Field(
        default="production", description="Akamai's network."
    )

    @model_validator(mode="after")
    def one_kind(self) -> AkamaiPurge:
        """Refuse none and several."""
        if sum(kind is not None for kind in (self.urls, self.tags, self.cp_codes)) != 1:
            raise wrong_shape("give one of urls, tags, cpCodes")
        return self


def run(params: AkamaiPurge, call: Call) -> Outcome:
    """Purge in as few requests as the API allows."""
    kind, objects = _wanted(params)
    bodies = [body for batch in in_batches(objects, MOST[kind]) for body in _bodies(batch, BODY)]
    send_each(call.state, bodies, partial(_purge, params, call, kind))
    return Succeeded({"objects": len(set(objects)), "requests": len(bodies)})


def _wanted(params: AkamaiPurge) -> tuple[str, tuple[str | int, ...]]:
    if params.urls is not None:
        return "url", params.urls
    return ("tag", params.tags) if params.tags is not None else ("cpcode", params.cp_codes or ())


def _bodies(objects: list[str | int], most: int) -> Iterator[bytes]:
    """Write the objects into bodies of at most so many bytes; one object alone may have more."""
    body = json.dumps({"objects": objects}).encode()
    if len(body) <= most or len(objects) == 1:
        yield body
        return
    half = len(objects) // 2
    yield from _bodies(objects[:half], most)
    yield from _bodies(objects[half:], most)


def _purge(params: AkamaiPurge, call: Call, kind: str, body: bytes) -> None:
    from akamai.edgegrid import EdgeGridAuth
    from akamai.edgegrid.edgegrid import eg_timestamp, new_nonce

    url = f"{params.api}/ccu/v3/{params.action}/{kind}/{params.network}"
    headers = {"Content-Type": "application/json"}
    signer = EdgeGridAuth(params.client_token, params.client_secret, params.access_token).ah
    request = SimpleNamespace(method="POST", url=url, headers=headers, body=body)
    headers["Authorization"] = signer.make_auth_header(request, eg_timestamp(), new_nonce())
    answer = call.http.send("POST", url, headers=headers, body=body)
    try:
        raise_for_status(answer, now=call.now)
    except TemporaryError as error:
        if error.limited and error.delay is None:
            raise TemporaryError(error.message, delay=LIMITED_FOR, limited=True) from None
        raise


EXAMPLE = """\
api: https://akab-h05tnam3wl42son7nktnlnnx-kbob3i3v.purge.akamaiapis.net
clientToken: {env: POSTSYNC_SECRET_AKAMAI_CLIENT_TOKEN}
clientSecret: {env: POSTSYNC_SECRET_AKAMAI_CLIENT_SECRET}
accessToken: {env: POSTSYNC_SECRET_AKAMAI_ACCESS_TOKEN}
tags: "${{ resources.map(r, r.name) }}"
"""

handler = Handler(
    name="akamai.purge",
    summary="Invalidate or delete objects in Akamai's cache by URL, tag or CP code.",
    params=AkamaiPurge,
    run=run,
    example=EXAMPLE,
    confine=by_parameters,
    output="`objects`, how many there were; `requests`, how many it took.",
    errors="A 429 without a Retry-After is waited for five seconds.",
    lane=host_of("api"),
    extra="akamai",
    library="akamai.edgegrid",
    # "Rate limiting": 100 requests at once, filled up by 50 a second.
    rate=Rate(per_second=50, burst=100),
    permissions="An API client with the service CCU APIs, access level READ-WRITE, and no other.",
)
