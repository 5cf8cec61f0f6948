"""`azure-frontdoor.purge`: purge paths of an Azure Front Door endpoint.

https://learn.microsoft.com/rest/api/frontdoor/azurefrontdoorstandardpremium/afd-endpoints/purge-content
"""

from __future__ import annotations

import json
import os
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlencode

from pydantic import Field

from receiver.contract import (
    Answer,
    Call,
    Duration,
    Handler,
    Outcome,
    Params,
    Pending,
    PermanentError,
    Succeeded,
    host_of,
    object_of,
    raise_for_status,
    retry_after,
)

VERSION = "2026-10-01"
PATHS = 100
"""Content paths of one request, by the reference."""


class AzureFrontDoorPurge(Params):
    """Which paths of which endpoint, and as whom."""

    subscription: str = Field(description="Id of the subscription.", min_length=1)
    resource_group: str = Field(description="Resource group.", min_length=1)
    profile: str = Field(description="Name of the Front Door profile.", min_length=1)
    endpoint: str = Field(description="Name of its endpoint.", min_length=1)
    paths: tuple[str, ...] = Field(
        description="Paths; one may end in `*`.", min_length=1, max_length=PATHS
    )
    domains: tuple[str, ...] = Field(default=(), description="Domains; by default all.")
    tenant: str | None = Field(
        default=None, description="Tenant; by default AZURE_TENANT_ID of the workload identity."
    )
    client: str | None = Field(default=None, description="Client id; by default AZURE_CLIENT_ID.")
    client_secret: str | None = Field(
        default=None,
        description="Its secret; without it the workload identity's AZURE_FEDERATED_TOKEN_FILE.",
    )
    wait: bool = Field(default=False, description="Succeed only when it is completed.")
    every: Duration = Field(default=20.0, ge=5, description="Time between two askings.")
    api: str = Field(default="https://management.azure.com", description="Address of the API.")
    login: str = Field(
        default="https://login.microsoftonline.com", description="Address of Entra ID."
    )


def run(params: AzureFrontDoorPurge, call: Call) -> Outcome:
    """Start the purge, or look how it is getting on."""
    headers = {"Authorization": f"Bearer {_token(params, call)}"}
    if call.state is not None:
        return _look(params, call, headers)
    url = (
        f"{params.api}/subscriptions/{params.subscription}/resourceGroups/"
        f"{params.resource_group}/providers/Microsoft.Cdn/profiles/{params.profile}/"
        f"afdEndpoints/{params.endpoint}/purge?api-version={VERSION}"
    )
    body = {"contentPaths": list(dict.fromkeys(params.paths))}
    if params.domains:
        body["domains"] = list(params.domains)
    headers["Content-Type"] = "application/json"
    answer = call.http.send("POST", url, headers=headers, body=json.dumps(body).encode())
    raise_for_status(answer, now=call.now)
    where = answer.headers.get("azure-asyncoperation", "")
    if not params.wait or answer.status == HTTPStatus.OK:
        return Succeeded({"operation": where or None})
    if not where.startswith(f"{params.api}/"):
        raise PermanentError("Azure named no place to ask how the purge is getting on")
    return Pending({"operation": where}, _patience(params, answer, call))


def _look(params: AzureFrontDoorPurge, call: Call, headers: dict[str, str]) -> Outcome:
    answer = call.http.send("GET", call.state["operation"], headers=headers)
    raise_for_status(answer, now=call.now)
    status = str(object_of(answer).get("status"))
    if status == "Succeeded":
        return Succeeded({"operation": call.state["operation"]})
    if status in {"Failed", "Canceled"}:
        raise PermanentError(f"the purge ended with {status}: {answer.excerpt()}")
    return Pending(call.state, _patience(params, answer, call))


def _patience(params: AzureFrontDoorPurge, answer: Answer, call: Call) -> float:
    return max(params.every, retry_after(answer, call.now) or 0.0)


def _token(params: AzureFrontDoorPurge, call: Call) -> str:
    """Get a token by the client's secret, or by what Kubernetes says of our service account.

    https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
    """
    tenant = params.tenant or os.environ.get("AZURE_TENANT_ID", "")
    form = {
        "grant_type": "client_credentials",
        "client_id": params.client or os.environ.get("AZURE_CLIENT_ID", ""),
        "scope": f"{params.api}/.default",
    }
    if params.client_secret is not None:
        form["client_secret"] = params.client_secret
    else:
        form["client_assertion_type"] = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        form["client_assertion"] = _assertion()
    answer = call.http.send(
        "POST",
        f"{params.login}/{tenant}/oauth2/v2.0/token",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        body=urlencode(form).encode(),
    )
    raise_for_status(answer, now=call.now)
    return str(object_of(answer).get("access_token"))


def _assertion() -> str:
    try:
        return Path(os.environ["AZURE_FEDERATED_TOKEN_FILE"]).read_text(encoding="utf-8").strip()
    except (KeyError, OSError):
        raise PermanentError(
            "there are no Azure credentials",
            hint="give tenant, client and clientSecret, or the receiver a workload identity",
        ) from None


EXAMPLE = """\
subscription: 00000000-0000-0000-0000-000000000000
resourceGroup: shop
profile: shop-cdn
endpoint: shop
paths: ["/assets/*"]
tenant: 11111111-1111-1111-1111-111111111111
client: 22222222-2222-2222-2222-222222222222
clientSecret: {env: POSTSYNC_SECRET_AZURE}
"""

handler = Handler(
    name="azure-frontdoor.purge",
    summary="Purge paths of an Azure Front Door endpoint.",
    params=AzureFrontDoorPurge,
    run=run,
    example=EXAMPLE,
    lane=host_of("api"),
    permissions="A role with `Microsoft.Cdn/profiles/afdEndpoints/Purge/action` on the profile "
    "(CDN Endpoint Contributor has it).",
)
