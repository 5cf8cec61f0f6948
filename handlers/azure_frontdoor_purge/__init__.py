"""`azure-frontdoor.purge`: purge paths of an Azure Front Door endpoint.

https://learn.microsoft.com/rest/api/frontdoorservice/azurefrontdoorstandardpremium/afd-endpoints/purge-content
and https://learn.microsoft.com/azure/azure-resource-manager/management/async-operations
"""

from __future__ import annotations

import json
from functools import partial
from typing import Annotated, Any
from urllib.parse import quote

from pydantic import Field

from handlers.azure_frontdoor_purge.identity import Identity, entra_token
from receiver.contract import (
    Call,
    Duration,
    Filled,
    Handler,
    Json,
    Outcome,
    Pending,
    PermanentError,
    Rate,
    Succeeded,
    ask_each,
    host_of,
    in_batches,
    needs,
    object_of,
    raise_for_status,
    retry_after,
    start_each,
)

VERSION = "2025-04-15"
PATHS = 100
"""Content paths of one request."""


class AzureFrontDoorPurge(Identity):
    """Which paths of which endpoint, and as whom."""

    subscription: str = Field(description="Id of the subscription.", min_length=1)
    resource_group: str = Field(description="Resource group.", min_length=1)
    profile: str = Field(description="Name of the Front Door profile.", min_length=1)
    endpoint: str = Field(description="Name of its endpoint.", min_length=1)
    paths: Annotated[tuple[Annotated[str, Field(pattern="^/")], ...], Filled()] = Field(
        description="Paths, each with a leading `/`; one may end in `*`."
    )
    domains: tuple[str, ...] = Field(default=(), description="Domains; by default all.")
    wait: bool = Field(default=False, description="Succeed only when it is completed.")
    every: Duration = Field(
        default=20.0, ge=5, description="Time between two askings; a Retry-After may lengthen it."
    )
    api: str = Field(default="https://management.azure.com", description="Address of the API.")

    @property
    def address(self) -> str:
        """The purge of the endpoint in the API."""
        names = [self.subscription, self.resource_group, self.profile, self.endpoint]
        subscription, group, profile, endpoint = (quote(name, safe="") for name in names)
        return (
            f"{self.api}/subscriptions/{subscription}/resourceGroups/{group}/providers/"
            f"Microsoft.Cdn/profiles/{profile}/afdEndpoints/{endpoint}/purge?api-version={VERSION}"
        )


def run(params: AzureFrontDoorPurge, call: Call) -> Outcome:
    """Start the purges, or check how they are getting on."""
    headers = {"Authorization": f"Bearer {entra_token(params, params.api, call)}"}
    if isinstance(call.state, dict) and "ended" in call.state:
        started, ended = call.state["started"], call.state["ended"]
    else:
        batches = in_batches(params.paths, PATHS)
        start = partial(_start, params, call, headers)
        started, ended = start_each(call.state, batches, start), 0
        if params.wait and started:
            return Pending({"started": started, "ended": ended}, params.every)
    again = partial(_again_in, params, call, headers)
    if params.wait and (open_ := ask_each(started, ended, again)):
        return Pending(*open_)
    return Succeeded({"operations": started, "paths": len(set(params.paths))})


def _start(
    params: AzureFrontDoorPurge, call: Call, headers: dict[str, str], _number: int, paths: list[str]
) -> Json:
    """Start one purge; return where to ask for it, None where it is completed already."""
    body: dict[str, Any] = {"contentPaths": paths}
    if params.domains:
        body["domains"] = list(params.domains)
    headers = headers | {"Content-Type": "application/json"}
    answer = call.http.send("POST", params.address, headers=headers, body=json.dumps(body).encode())
    raise_for_status(answer, now=call.now)
    where = answer.headers.get("azure-asyncoperation") or answer.headers.get("location")
    if where is not None and not where.startswith(
        f"{params.api}/"
    ):  # that address would get the token
        raise PermanentError(f"Azure says to ask at an address that is not below {params.api}")
    return where


def _again_in(
    params: AzureFrontDoorPurge, call: Call, headers: dict[str, str], where: str | None
) -> float | None:
    if where is None:
        return None
    answer = call.http.send("GET", where, headers=headers)
    raise_for_status(answer, now=call.now)
    status = object_of(answer).get("status", "Succeeded") if answer.body else "Succeeded"
    if status in {"Failed", "Canceled"}:
        raise PermanentError(f"the purge ended with {status}: {answer.excerpt()}")
    if status == "Succeeded" and answer.status != ACCEPTED:
        return None
    return max(params.every, retry_after(answer, call.now) or 0.0)


ACCEPTED = 202
"""What asking at a Location answers until the end; Azure-AsyncOperation answers 200."""


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
    confine=needs("clientSecret"),
    output="`operations`, a list of addresses; `paths`, how many there were.",
    errors="An operation that ended as Failed or Canceled fails the run.",
    lane=host_of("api"),
    # https://learn.microsoft.com/azure/azure-resource-manager/management/request-limits-and-throttling
    rate=Rate(per_second=10, burst=200),
    permissions="A role of your own with `Microsoft.Cdn/profiles/afdEndpoints/Purge/action`, and "
    "to wait `Microsoft.Cdn/operationresults/*`, on the resource group. Of the built-in ones CDN "
    "Profile Contributor has both and much more; CDN Endpoint Contributor cannot purge Front Door.",
)
