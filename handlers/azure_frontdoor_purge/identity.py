"""Tokens of Azure, by Entra ID.

https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Self
from urllib.parse import quote, urlencode

from pydantic import Field, model_validator

from receiver.contract import (
    Call,
    Params,
    PermanentError,
    Secret,
    object_of,
    raise_for_status,
    wrong_shape,
)


class Identity(Params):
    """As whom: a client with its secret, or the receiver's workload identity."""

    tenant: str | None = Field(
        default=None, description="Tenant; by default `AZURE_TENANT_ID` of the workload identity."
    )
    client: str | None = Field(default=None, description="Client id; by default `AZURE_CLIENT_ID`.")
    client_secret: Secret | None = Field(
        default=None,
        description="Its secret; without it the token of the receiver's workload identity, "
        "`AZURE_FEDERATED_TOKEN_FILE`.",
    )
    login: str = Field(
        default="https://login.microsoftonline.com", description="Address of Entra ID."
    )

    @model_validator(mode="after")
    def whole_identity(self) -> Self:
        """Refuse a secret of nobody."""
        if self.client_secret is not None and None in {self.tenant, self.client}:
            raise wrong_shape("clientSecret needs tenant and client")
        return self


def entra_token(identity: Identity, api: str, call: Call) -> str:
    """Get a token for an API, by the client's secret or by that of our service account.

    Raises:
        TemporaryError: Entra ID cannot be reached now, or has a fault.
        PermanentError: it refuses, or there are no credentials.
    """
    tenant = identity.tenant or os.environ.get("AZURE_TENANT_ID", "")
    form = {
        "grant_type": "client_credentials",
        "client_id": identity.client or os.environ.get("AZURE_CLIENT_ID", ""),
        "scope": f"{api}/.default",
    }
    if identity.client_secret is not None:
        form["client_secret"] = identity.client_secret
    else:
        form["client_assertion_type"] = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        form["client_assertion"] = _assertion(call)
    answer = call.http.send(
        "POST",
        f"{identity.login}/{quote(tenant, safe='')}/oauth2/v2.0/token",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        body=urlencode(form).encode(),
    )
    raise_for_status(answer, now=call.now)
    token = object_of(answer).get("access_token")
    if not isinstance(token, str):
        raise PermanentError("Entra ID gave no access token")
    call.hide(token)
    return token


def _assertion(call: Call) -> str:
    try:
        file = Path(os.environ["AZURE_FEDERATED_TOKEN_FILE"])
        token = file.read_text(encoding="utf-8").strip()
    except (KeyError, OSError):
        raise PermanentError(
            "there are no Azure credentials",
            hint="give tenant, client and clientSecret, or the receiver a workload identity",
        ) from None
    call.hide(token)
    return token
