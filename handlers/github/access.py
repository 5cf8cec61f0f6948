"""Calls to GitHub: the repository, the credentials, and what a refusal means.

https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Literal

from pydantic import Field, model_validator

from handlers.github.app import app_token
from receiver.contract import (
    Answer,
    Call,
    Params,
    PermanentError,
    Rate,
    Secret,
    TemporaryError,
    object_of,
    raise_for_status,
    retry_after,
    wrong_shape,
)

RATE = Rate(per_second=80 / 60, burst=80)
"""Requests that create content: 80 a minute (rate limits, "About secondary rate limits")."""

LIMITED_FOR = 60.0
"""Seconds to wait where a limit names none (rate limits, "Exceeding the rate limit")."""

LIMITS = ("rate limit", "abuse detection")
"""Words of a 403 that is a limit's."""

DESCRIPTION = 140
"""Characters of a description; GitHub refuses a longer one (REST, "Create a deployment status";
of a commit status its refusal says so)."""

HINTS: Mapping[int, str] = {
    HTTPStatus.UNAUTHORIZED: "the token is not valid, or has expired",
    HTTPStatus.FORBIDDEN: "`postsync handlers NAME` tells what the token must be allowed to do",
    HTTPStatus.NOT_FOUND: "GitHub says so too of what the token may not see",
}


class App(Params):
    """A GitHub App, which gets itself a token of an hour."""

    id: str = Field(description="Id of the App, or its client id.", min_length=1)
    installation: int = Field(ge=1, description="Number of its installation.")
    key: Secret = Field(description="Its private key, PEM.", min_length=1)


class GitHub(Params):
    """Which repository, and as whom."""

    repository: str = Field(
        description="Owner and name: `acme/shop`.",
        pattern=r"^[A-Za-z0-9_-]+/[A-Za-z0-9_.-]*[A-Za-z0-9_-][A-Za-z0-9_.-]*$",
    )
    token: Secret | None = Field(default=None, description="Token, fine-grained best.")
    app: App | None = Field(default=None, description="A GitHub App, instead of `token`.")
    api: str = Field(
        default="https://api.github.com",
        description="Address of the API; of GitHub Enterprise Server `https://HOST/api/v3`.",
    )
    api_version: Literal["2026-03-10", "2022-11-28"] = Field(
        default="2026-03-10",
        description="Version of the API; Enterprise Server knows the newer one from 3.21 on.",
    )

    @model_validator(mode="after")
    def one_identity(self) -> GitHub:
        """Refuse none and both."""
        if (self.token is None) == (self.app is None):
            raise wrong_shape("give token or app, one of them")
        return self


def request(
    params: GitHub, call: Call, method: str, path: str, body: Mapping[str, Any] | None = None
) -> Answer:
    """Call the API below the repository, and raise for what is no success.

    Raises:
        TemporaryError: a fault there, or a limit; then with the time until it ends.
        PermanentError: anything else that is no success.
    """
    token = params.token or _token_of(params, call)
    return _request(params, call, method, f"repos/{params.repository}/{path}", token, body)


def _request(
    params: GitHub,
    call: Call,
    method: str,
    path: str,
    token: str,
    body: Mapping[str, Any] | None = None,
) -> Answer:
    headers = {
        "Accept": "application/vnd.github+json",
        "Authorization": f"Bearer {token}",
        "X-GitHub-Api-Version": params.api_version,
    }
    text = None if body is None else json.dumps(body).encode()
    answer = call.http.send(method, f"{params.api.rstrip('/')}/{path}", headers=headers, body=text)
    _raise_for_limit(answer, call)
    try:
        raise_for_status(answer, now=call.now)
    except PermanentError as error:
        hint = error.hint or HINTS.get(answer.status, "")
        raise PermanentError(error.message, hint=hint) from None
    return answer


def _token_of(params: GitHub, call: Call) -> str:
    if params.app is None:
        raise PermanentError("there is neither token nor app")
    own = app_token(params.app.id, params.app.key, call.now)
    call.hide(own)
    path = f"app/installations/{params.app.installation}/access_tokens"
    # for this repository alone, however many the App is installed in
    wanted = {"repositories": [params.repository.partition("/")[2]]}
    token = object_of(_request(params, call, "POST", path, own, wanted)).get("token")
    if not token:
        raise PermanentError("GitHub gave the App no token")
    call.hide(str(token))
    return str(token)


def _raise_for_limit(answer: Answer, call: Call) -> None:
    """Raise for a limit, which may be answered with 403 as well."""
    if answer.status not in {HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS}:
        return
    delay = retry_after(answer, call.now)
    if delay is None and answer.headers.get("x-ratelimit-remaining") == "0":
        delay = _until(answer.headers.get("x-ratelimit-reset", ""), call)
    limited = delay is not None or any(word in answer.text.lower() for word in LIMITS)
    if limited or answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        raise TemporaryError(
            f"GitHub's limit is reached: {answer.excerpt()}",
            delay=LIMITED_FOR if delay is None else delay,
            limited=True,
        )


def _until(reset: str, call: Call) -> float | None:
    return max(0.0, float(reset) - call.now.timestamp()) if reset.isdecimal() else None
