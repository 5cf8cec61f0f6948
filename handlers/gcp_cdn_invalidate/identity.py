"""Access tokens of Google Cloud: google-auth signs and exchanges, `Call.http` sends for it."""

from __future__ import annotations

import json
from functools import partial
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

from receiver.contract import Call, PermanentError, raise_for_status

SCOPE = "https://www.googleapis.com/auth/compute"
GOOGLE = "https://iamcredentials.googleapis.com"


def google_token(given: str, call: Call) -> str:
    """Get an access token for Compute Engine by credentials in JSON.

    Raises:
        TemporaryError: the token endpoint cannot be reached now, or has a fault.
        PermanentError: the credentials are invalid, or are refused.
    """
    from google.auth.exceptions import GoogleAuthError
    from google.auth.identity_pool import Credentials as Federated
    from google.oauth2.service_account import Credentials as ServiceAccount

    try:
        info = json.loads(given)
        make: Any = ServiceAccount.from_service_account_info
        if info["type"] != "service_account":
            _refuse_other_providers(info)
            make = Federated.from_info
        credentials = make(info, scopes=[SCOPE])
        credentials.refresh(partial(_fetch, call))
    except (ValueError, TypeError, KeyError, GoogleAuthError) as error:
        raise PermanentError(f"the credentials do not serve: {type(error).__name__}") from None
    call.hide(str(credentials.token))
    return str(credentials.token)


def _refuse_other_providers(info: dict[str, Any]) -> None:
    """Refuse a configuration by which a file of ours is sent to another host than Google's."""
    exchange = info.get("token_url"), info.get("service_account_impersonation_url", GOOGLE)
    if info.get("type") != "external_account" or not all(map(_is_google, exchange)):
        raise PermanentError(
            "the credentials are neither a service account's key nor a workload identity "
            "federation with Google's own addresses"
        )


def _is_google(address: Any) -> bool:
    parts = urlsplit(str(address))
    return parts.scheme == "https" and (parts.hostname or "").endswith(".googleapis.com")


def _fetch(
    call: Call,
    url: str,
    method: str = "GET",
    body: bytes | str | None = None,
    headers: dict[str, str] | None = None,
    **_: Any,
) -> Any:
    """Send for google-auth: what `google.auth.transport.Request` is to do.

    A temporary failure is raised here, since google-auth would wait and try again by itself.
    """
    data = body.encode() if isinstance(body, str) else body
    answer = call.http.send(method, url, headers=headers or {}, body=data)
    raise_for_status(answer, now=call.now)
    return SimpleNamespace(status=answer.status, headers=answer.headers, data=answer.body)
