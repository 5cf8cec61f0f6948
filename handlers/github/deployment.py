"""`github.deployment`: a deployment of a revision, with its status.

https://docs.github.com/rest/deployments
"""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlencode

from pydantic import Field

from handlers.github.access import DESCRIPTION, RATE, GitHub, request
from receiver.contract import (
    Call,
    Handler,
    Outcome,
    PermanentError,
    Succeeded,
    TemporaryError,
    by_parameters,
    cut,
    host_of,
    object_of,
)


class GitHubDeployment(GitHub):
    """The deployment and its status."""

    ref: str = Field(description="Branch, tag or SHA that was deployed.", min_length=1)
    environment: str = Field(default="production", description="Where to.", min_length=1)
    state: Literal[
        "success", "failure", "error", "in_progress", "queued", "pending", "inactive"
    ] = Field(default="success", description="How it stands.")
    description: str = Field(
        default="", description=f"A short text; it is cut to {DESCRIPTION} characters."
    )
    environment_url: str | None = Field(default=None, description="Address of what runs there.")
    log_url: str | None = Field(default=None, description="Address of the details.")
    deployment: int | None = Field(
        default=None,
        description="An earlier action's deployment, to which only a status is added: "
        "`${{ actions.NAME.output.id }}`.",
    )


def run(params: GitHubDeployment, call: Call) -> Outcome:
    """Create the deployment, unless an earlier attempt or action did, then its status."""
    number = params.deployment or (call.state or {}).get("id") or _created_before(params, call)
    if number is None:
        number = _create(params, call)
    body = {
        "state": params.state,
        "environment": params.environment,
        "description": cut(params.description, DESCRIPTION),
        "environment_url": params.environment_url or "",
        "log_url": params.log_url or "",
        "auto_inactive": True,
    }
    try:
        request(params, call, "POST", f"deployments/{number}/statuses", body)
    except TemporaryError as error:
        raise TemporaryError(
            error.message, delay=error.delay, state={"id": number}, limited=error.limited
        ) from error
    return Succeeded({"id": number, "state": params.state})


def _created_before(params: GitHubDeployment, call: Call) -> int | None:
    """Return the deployment that a lost attempt created: its payload names the run."""
    if call.attempt == 1:
        return None
    query = urlencode({"ref": params.ref, "environment": params.environment, "per_page": 100})
    answer = request(params, call, "GET", f"deployments?{query}")
    try:
        listed = answer.json()
    except ValueError:
        listed = None
    if not isinstance(listed, list):
        raise TemporaryError(f"answered without a list of deployments: {answer.excerpt()}")
    own = {"run": call.idempotency_key}
    return next((one["id"] for one in listed if one.get("payload") == own), None)


def _create(params: GitHubDeployment, call: Call) -> int:
    """Create it: without a merge of the default branch, and without waiting for checks."""
    body = {
        "ref": params.ref,
        "environment": params.environment,
        "description": cut(params.description, DESCRIPTION),
        "auto_merge": False,
        "required_contexts": [],
        "payload": {"run": call.idempotency_key},
    }
    number = object_of(request(params, call, "POST", "deployments", body)).get("id")
    if not isinstance(number, int):
        raise PermanentError("GitHub did not tell the deployment's id")
    return number


EXAMPLE = """\
repository: acme/shop
token: {env: POSTSYNC_SECRET_GITHUB}
ref: "${{ sync.revision }}"
environment: production
"""

handler = Handler(
    name="github.deployment",
    summary="Record a deployment on GitHub, with its status.",
    params=GitHubDeployment,
    run=run,
    example=EXAMPLE,
    confine=by_parameters,
    output="`id` and `state`.",
    errors="A 403 of a rate limit is tried again when it ends.",
    lane=host_of("api"),
    rate=RATE,
    permissions="Deployments: write, on that repository.",
)
