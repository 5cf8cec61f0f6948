"""`akamai.purge`: invalidate or delete objects in Akamai's cache (Fast Purge, CCU v3).

https://techdocs.akamai.com/purge-cache/reference/api; the edgegrid library signs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from types import SimpleNamespace
from typing import Literal

from pydantic import Field, model_validator

from receiver.contract import (
    Call,
    Handler,
    Outcome,
    Params,
    Rate,
    Succeeded,
    TemporaryError,
    host_of,
    raise_for_status,
    send_each,
    wrong_shape,
)

BODY_LIMIT = 50_000
"""Bytes of a request's body ("Purge limits")."""

LIMITED_FOR = 5.0
"""Seconds that the reference advises to wait after a 429 without Retry-After."""


class AkamaiPurge(Params):
    """Which objects: one of urls, tags, cpCodes."""

    host: str = Field(
        description="API host of the credentials: `akab-....purge.akamaiapis.net`.", min_length=1
    )
    client_token: str = Field(description="Client token.", min_length=1)
    client_secret: str = Field(description="Client secret.", min_length=1)
    access_token: str = Field(description="Access token.", min_length=1)
    urls: tuple[str, ...] | None = Field(default=None, description="URLs of objects.")
    tags: tuple[str, ...] | None = Field(default=None, description="Cache tags.")
    cp_codes: tuple[int, ...] | None = Field(default=None, description="CP codes.")
    action: Literal["invalidate", "delete"] = Field(
        default="invalidate", description="invalidate marks as stale, delete removes."
    )
    network: Literal["production", "staging"] = Field(
        default="production", description="Akamai's network."
    )
    scheme: Literal["https", "http"] = Field(
        default="https", description="http is for a proxy on the same host."
    )

    @model_validator(mode="after")
    def one_kind(self) -> AkamaiPurge:
        """Refuse none and several."""
        if sum(kind is not None for kind in (self.urls, self.tags, self.cp_codes)) != 1:
            raise wrong_shape("give one of urls, tags, cpCodes")
        return self


def run(params: AkamaiPurge, call: Call) -> Outcome:
    """Purge in as few requests as a body's limit allows."""
    kind, items = _wanted(params)
    batches = list(_bodies(list(dict.fromkeys(items))))
    send_each(call.state, batches, partial(_purge, params, call, kind))
    return Succeeded({"objects": len(set(items)), "requests": len(batches)})


def _wanted(params: AkamaiPurge) -> tuple[str, tuple[str | int, ...]]:
    if params.urls is not None:
        return "url", params.urls
    return ("tag", params.tags) if params.tags is not None else ("cpcode", params.cp_codes or ())


def _bodies(objects: list[str | int]) -> Iterator[bytes]:
    """Cut the objects into bodies, each as large as it may be."""
    batch: list[str | int] = []
    size = 0
    for one in objects:
        more = len(json.dumps(one)) + 2
        if batch and size + more > BODY_LIMIT - 100:
            yield json.dumps({"objects": batch}).encode()
            batch, size = [], 0
        batch.append(one)
        size += more
    if batch:
        yield json.dumps({"objects": batch}).encode()


def _purge(params: AkamaiPurge, call: Call, kind: str, body: bytes) -> None:
    from akamai.edgegrid import EdgeGridAuth
    from akamai.edgegrid.edgegrid import eg_timestamp, new_nonce

    url = f"{params.scheme}://{params.host}/ccu/v3/{params.action}/{kind}/{params.network}"
    headers = {"Content-Type": "application/json"}
    signer = EdgeGridAuth(params.client_token, params.client_secret, params.access_token).ah
    request = SimpleNamespace(method="POST", url=url, headers=headers, body=body)
    headers["Authorization"] = signer.make_auth_header(request, eg_timestamp(), new_nonce())
    answer = call.http.send("POST", url, headers=headers, body=body)
    try:
        raise_for_status(answer, now=call.now)
    except TemporaryError as error:
        if error.limited and error.delay is None:
            raise TemporaryError(error.message, delay=LIMITED_FOR, limited=True) from error
        raise


EXAMPLE = """\
host: akab-h05tnam3wl42son7nktnlnnx-kbob3i3v.purge.akamaiapis.net
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
    lane=host_of("host"),
    extra="akamai",
    library="akamai.edgegrid",
    # "Rate limiting": 100 requests at once, filled up by 50 a second.
    rate=Rate(per_second=50, burst=100),
    permissions="An API client with the service CCU APIs, READ-WRITE, and no other.",
)
