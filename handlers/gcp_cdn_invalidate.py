"""`gcp-cdn.invalidate`: invalidate paths or tags in Google's Cloud CDN.

https://cloud.google.com/compute/docs/reference/rest/v1/urlMaps/invalidateCache; google-auth
gets the token, and our own door sends for it.
"""

from __future__ import annotations

import json
import uuid
from functools import partial
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

from pydantic import Field, model_validator

from receiver.contract import (
    Call,
    Duration,
    Handler,
    Outcome,
    Params,
    Pending,
    PermanentError,
    Rate,
    Succeeded,
    host_of,
    is_temporary,
    object_of,
    raise_for_status,
    wrong_shape,
)

SCOPE = "https://www.googleapis.com/auth/compute"
TAGS = 10
"""Cache tags of one request, by the reference."""


class GcpCdnInvalidate(Params):
    """What to invalidate of which URL map."""

    project: str = Field(description="Id of the project.", min_length=1)
    url_map: str = Field(description="Name of the URL map (the load balancer).", min_length=1)
    path: str | None = Field(default=None, description="Path with a leading /; it may end in `*`.")
    host: str | None = Field(default=None, description="Host that the path is of; by default all.")
    tags: tuple[str, ...] | None = Field(
        default=None, description="Cache tags, at most 10.", max_length=TAGS
    )
    credentials: str = Field(
        description="Credentials, JSON: a service account's key, or the configuration of a "
        "workload identity federation.",
        min_length=1,
    )
    wait: bool = Field(default=False, description="Succeed only when the operation is done.")
    every: Duration = Field(default=20.0, ge=5, description="Time between two askings.")
    api: str = Field(default="https://compute.googleapis.com", description="Address of the API.")

    @model_validator(mode="after")
    def something(self) -> GcpCdnInvalidate:
        """Refuse to invalidate nothing."""
        if self.path is None and self.tags is None:
            raise wrong_shape("give path, tags, or both")
        return self


def run(params: GcpCdnInvalidate, call: Call) -> Outcome:
    """Start it, or look how it is getting on; the requestId lets it be sent twice."""
    headers = {"Authorization": f"Bearer {_token(params, call)}"}
    base = f"{params.api}/compute/v1/projects/{params.project}/global"
    if call.state is not None:
        name = call.state["operation"]
        answer = call.http.send("GET", f"{base}/operations/{name}", headers=headers)
        raise_for_status(answer, now=call.now)
        return _judged(params, object_of(answer))
    body = {"path": params.path, "host": params.host, "cacheTags": params.tags}
    number = uuid.uuid5(uuid.NAMESPACE_OID, call.idempotency_key)
    answer = call.http.send(
        "POST",
        f"{base}/urlMaps/{params.url_map}/invalidateCache?{urlencode({'requestId': number})}",
        headers=headers | {"Content-Type": "application/json"},
        body=json.dumps({k: v for k, v in body.items() if v is not None}).encode(),
    )
    raise_for_status(answer, now=call.now)
    return _judged(params, object_of(answer))


def _judged(params: GcpCdnInvalidate, operation: dict[str, Any]) -> Outcome:
    if errors := (operation.get("error") or {}).get("errors"):
        raise PermanentError(f"Google refused: {errors[0].get('code')} {errors[0].get('message')}")
    told = {"operation": operation.get("name"), "status": operation.get("status")}
    if params.wait and operation.get("status") != "DONE":
        return Pending({"operation": operation["name"]}, params.every)
    return Succeeded(told)


def _token(params: GcpCdnInvalidate, call: Call) -> str:
    from google.auth.exceptions import GoogleAuthError

    try:
        credentials = _credentials(json.loads(params.credentials))
        credentials.refresh(partial(_fetch, call))
    except (ValueError, GoogleAuthError) as error:
        raise PermanentError(f"the credentials do not serve: {type(error).__name__}") from None
    return str(credentials.token)


def _credentials(info: Any) -> Any:
    """Make credentials of a type that is asked for by name: others may run programs."""
    from google.auth.identity_pool import Credentials as Federated
    from google.oauth2.service_account import Credentials as Account

    kind = info.get("type") if isinstance(info, dict) else None
    if kind == "service_account":
        make = Account.from_service_account_info
    elif kind == "external_account":
        make = Federated.from_info
    else:
        raise PermanentError(
            "the credentials are neither of the type service_account nor of external_account",
            hint="give the JSON file of a service account's key, or of an identity federation",
        )
    return make(info, scopes=[SCOPE])  # type: ignore[no-untyped-call]  # theirs


def _fetch(
    call: Call,
    url: str,
    method: str = "GET",
    body: bytes | str | None = None,
    headers: dict[str, str] | None = None,
    **_: Any,
) -> Any:
    """Send for google-auth: what `google.auth.transport.Request` is to do."""
    data = body.encode() if isinstance(body, str) else body
    answer = call.http.send(method, url, headers=headers or {}, body=data)
    if is_temporary(answer.status):
        raise_for_status(answer, now=call.now)
    return SimpleNamespace(status=answer.status, headers=answer.headers, data=answer.body)


EXAMPLE = """\
project: acme-shop
urlMap: shop-frontend
path: /assets/*
credentials: {file: gcp-cdn.json}
"""

handler = Handler(
    name="gcp-cdn.invalidate",
    summary="Invalidate paths or tags in Google's Cloud CDN.",
    params=GcpCdnInvalidate,
    run=run,
    example=EXAMPLE,
    lane=host_of("api"),
    extra="gcp",
    library="google.auth",
    # "Invalidation rate limits": 500 a minute.
    rate=Rate(per_second=500 / 60, burst=50),
    permissions="A role with `compute.urlMaps.invalidateCache` and `compute.globalOperations.get` "
    "on the project.",
)
