"""What the calls to GitHub have in common: where, as whom, and what a refusal means.

https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from pydantic import Field, model_validator

from handlers.github.app import app_token
from receiver.contract import (
    Answer,
    Call,
    Params,
    PermanentError,
    Rate,
    TemporaryError,
    object_of,
    raise_for_status,
    retry_after,
    wrong_shape,
)

VERSION = "2026-03-10"
"""https://docs.github.com/rest/about-the-rest-api/api-versions"""

RATE = Rate(per_second=80 / 60, burst=80)
"""Requests that create content: 80 a minute (rate limits, "About secondary rate limits")."""

LIMITED_FOR = 60.0
"""Seconds to wait where a limit names none (rate limits, "Exceeding the rate limit")."""


class App(Params):
    """A GitHub App, which gets itself a token of an hour."""

    id: str = Field(description="Id of the App, or its client id.", min_length=1)
    installation: int = Field(ge=1, description="Number of its installation.")
    key: str = Field(description="Its private key, PEM.", min_length=1)


class GitHub(Params):
    """Which repository, and as whom."""

    repository: str = Field(
        description="Owner and name: `acme/shop`.", pattern=r"^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$"
    )
    token: str | None = Field(default=None, description="Token, fine-grained best.")
    app: App | None = Field(default=None, description="A GitHub App, instead of `token`.")
    api: str = Field(
        default="https://api.github.com",
        description="Address of the API; of GitHub Enterprise Server `https://HOST/api/v3`.",
    )

    @model_validator(mode="after")
    def one_identity(self) -> GitHub:
        """Refuse none and both."""
        if (self.token is None) == (self.app is None):
            raise wrong_shape("give token or app, one of them")
        return self


def ask(
    params: GitHub, call: Call, method: str, path: str, body: Mapping[str, Any] | None = None
) -> Answer:
    """Call the API below the repository, and judge its answer.

    Raises:
        TemporaryError: a fault there, or a limit; then with the time until it ends.
        PermanentError: anything else that is no success.
    """
    return request(
        call,
        method,
        f"{params.api}/repos/{params.repository}/{path}",
        token=params.token or _token_of(params, call),
        body=body,
    )


def request(
    call: Call, method: str, url: str, *, token: str, body: Mapping[str, Any] | None = None
) -> Answer:
    """Send one request as GitHub wants it; see `ask`."""
    headers = {
        "Accept": "application/vnd.github+json",
        "Authorization": f"Bearer {token}",
        "User-Agent": "postsync",
        "X-GitHub-Api-Version": VERSION,
    }
    text = None if body is None else json.dumps(body).encode()
    answer = call.http.send(method, url, headers=headers, body=text)
    _raise_for_limit(answer, call)
    raise_for_status(answer, now=call.now)
    return answer


def _token_of(params: GitHub, call: Call) -> str:
    if params.app is None:
        raise PermanentError("there is neither token nor app")
    address = f"{params.api}/app/installations/{params.app.installation}/access_tokens"
    own = app_token(params.app.id, params.app.key, call.now)
    told = object_of(request(call, "POST", address, token=own, body={}))
    return str(told["token"])


def _raise_for_limit(answer: Answer, call: Call) -> None:
    """Tell a 403 of a limit from one that is meant."""
    if answer.status not in {HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS}:
        return
    delay = retry_after(answer, call.now)
    if delay is None and answer.headers.get("x-ratelimit-remaining") == "0":
        delay = _until(answer.headers.get("x-ratelimit-reset", ""), call)
    limited = delay is not None or "rate limit" in answer.text.lower()
    if limited or answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        raise TemporaryError(
            f"GitHub's limit is reached: {answer.excerpt()}",
            delay=LIMITED_FOR if delay is None else delay,
            limited=True,
        )


def _until(reset: str, call: Call) -> float | None:
    return max(0.0, float(reset) - call.now.timestamp()) if reset.isdecimal() else None
