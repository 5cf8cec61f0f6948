"""`gcp-cdn.invalidate`: invalidate paths or tags in Google's Cloud CDN.

https://cloud.google.com/compute/docs/reference/rest/v1/urlMaps/invalidateCache
"""

from __future__ import annotations

import json
import uuid
from functools import partial
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from pydantic import Field, model_validator

from handlers.gcp_cdn_invalidate.identity import google_token
from receiver.contract import (
    Answer,
    Call,
    Duration,
    Filled,
    Handler,
    Json,
    Outcome,
    Params,
    Pending,
    PermanentError,
    Rate,
    Secret,
    Succeeded,
    TemporaryError,
    ask_each,
    host_of,
    in_batches,
    object_of,
    raise_for_status,
    retry_after,
    start_each,
    wrong_shape,
)

TAGS = 10
"""Cache tags of one request (the reference, `cacheTags[]`)."""

FORBIDDEN = 403
LIMITED = frozenset({"rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded"})
"""Reasons of a 403 that passes (https://cloud.google.com/compute/operations-quota and, for all of
Google's APIs, https://developers.google.com/search/apis/indexing-api/v3/core-errors)."""


class GcpCdnInvalidate(Params):
    """What to invalidate of which URL map, one of paths and tags, and as whom."""

    project: str = Field(description="Id of the project.", min_length=1)
    url_map: str = Field(description="Name of the URL map (the load balancer).", min_length=1)
    paths: Annotated[tuple[Annotated[str, Field(pattern=r"^/[^?#]*$")], ...] | None, Filled()] = (
        Field(
            default=None,
            description="Paths, each with a leading `/` and without a query; one may end in `/*`.",
        )
    )
    tags: Annotated[tuple[str, ...] | None, Filled()] = Field(
        default=None, description="Cache tags."
    )
    host: str | None = Field(default=None, description="Of this host alone; by default of all.")
    credentials: Secret = Field(
        description="Credentials, JSON: a service account's key, or the configuration of a "
        "workload identity federation.",
        min_length=1,
    )
    wait: bool = Field(default=False, description="Succeed only when the operations are done.")
    every: Duration = Field(default=20.0, ge=5, description="Time between two askings.")
    api: str = Field(default="https://compute.googleapis.com", description="Address of the API.")

    @model_validator(mode="after")
    def one_kind(self) -> GcpCdnInvalidate:
        """Refuse none, and both, which would invalidate only what has both."""
        if (self.paths is None) == (self.tags is None):
            raise wrong_shape("give one of paths, tags")
        return self

    @property
    def address(self) -> str:
        """The project in the API."""
        return f"{self.api}/compute/v1/projects/{quote(self.project, safe='')}/global"


def run(params: GcpCdnInvalidate, call: Call) -> Outcome:
    """Start the operations, or check how they are getting on.

    Each has a requestId made of the idempotency key, with which it may be sent twice.
    """
    headers = {"Authorization": f"Bearer {google_token(params.credentials, call)}"}
    if isinstance(call.state, dict) and "ended" in call.state:
        started, ended = call.state["started"], call.state["ended"]
    else:
        start = partial(_start, params, call, headers)
        started, ended = start_each(call.state, _bodies(params), start), 0
        if params.wait and started:
            return Pending({"started": started, "ended": ended}, params.every)
    again = partial(_again_in, params, call, headers)
    if params.wait and (open_ := ask_each(started, ended, again)):
        return Pending(*open_)
    return Succeeded({"operations": started})


def _bodies(params: GcpCdnInvalidate) -> list[dict[str, Any]]:
    """Return the requests: one path each, or up to ten tags."""
    host = {} if params.host is None else {"host": params.host}
    if params.tags is not None:
        return [{"cacheTags": tags, **host} for tags in in_batches(params.tags, TAGS)]
    return [{"path": path, **host} for path in dict.fromkeys(params.paths or ())]


def _start(
    params: GcpCdnInvalidate, call: Call, headers: dict[str, str], number: int, body: dict[str, Any]
) -> Json:
    key = uuid.uuid5(uuid.NAMESPACE_OID, f"{call.idempotency_key}/{number}")
    query = urlencode({"requestId": key})
    answer = call.http.send(
        "POST",
        f"{params.address}/urlMaps/{quote(params.url_map, safe='')}/invalidateCache?{query}",
        headers=headers | {"Content-Type": "application/json"},
        body=json.dumps(body).encode(),
    )
    operation = _operation(answer, call)
    if not isinstance(operation.get("name"), str):
        raise TemporaryError(f"what answered named no operation: {answer.excerpt()}")
    return str(operation["name"])


def _again_in(
    params: GcpCdnInvalidate, call: Call, headers: dict[str, str], name: str
) -> float | None:
    answer = call.http.send("GET", f"{params.address}/operations/{name}", headers=headers)
    return None if _operation(answer, call).get("status") == "DONE" else params.every


def _operation(answer: Answer, call: Call) -> dict[str, Any]:
    """Return the operation that an answer is; one that has failed is an error."""
    if answer.status == FORBIDDEN and any(reason in answer.text for reason in LIMITED):
        raise TemporaryError(
            f"answered 403: {answer.excerpt()}", delay=retry_after(answer, call.now), limited=True
        )
    raise_for_status(answer, now=call.now)
    operation = object_of(answer)
    if operation.get("error"):
        raise PermanentError(f"the operation failed: {answer.mask(json.dumps(operation['error']))}")
    return operation


EXAMPLE = """\
project: acme-shop
urlMap: shop-frontend
paths: ["/assets/*"]
credentials: {file: gcp-cdn.json}
"""

handler = Handler(
    name="gcp-cdn.invalidate",
    summary="Invalidate paths or tags in Google's Cloud CDN.",
    params=GcpCdnInvalidate,
    run=run,
    example=EXAMPLE,
    output="`operations`, a list of their names.",
    errors="A 403 with the reason `rateLimitExceeded`, `userRateLimitExceeded` or "
    "`quotaExceeded` is tried again. An operation with an error fails the run.",
    lane=host_of("api"),
    extra="gcp",
    library="google.auth",
    # https://cloud.google.com/cdn/docs/cache-invalidation-overview: 500 a minute.
    rate=Rate(per_second=500 / 60, burst=50),
    permissions="A role with `compute.urlMaps.invalidateCache`, and to wait "
    "`compute.globalOperations.get`, on the project.",
)
