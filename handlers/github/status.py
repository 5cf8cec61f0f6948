"""`github.status`: set the status of a commit.

https://docs.github.com/rest/commits/statuses#create-a-commit-status
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from handlers.github.access import DESCRIPTION, RATE, GitHub, request
from receiver.contract import (
    Call,
    Handler,
    Outcome,
    Succeeded,
    by_parameters,
    cut,
    host_of,
    object_of,
)


class GitHubStatus(GitHub):
    """The status, and whose."""

    sha: str = Field(description="Commit: its whole SHA.", pattern=r"^[0-9a-fA-F]{40}$")
    state: Literal["error", "failure", "pending", "success"] = Field(description="The status.")
    context: str = Field(
        default="postsync", description="What tells this status from others of the commit."
    )
    description: str = Field(
        default="", description=f"A short text; it is cut to {DESCRIPTION} characters."
    )
    target_url: str | None = Field(default=None, description="Where the status leads to.")


def run(params: GitHubStatus, call: Call) -> Outcome:
    """Set it; set twice it is the same."""
    body = {
        "state": params.state,
        "context": params.context,
        "description": cut(params.description, DESCRIPTION),
        "target_url": params.target_url,
    }
    answer = request(params, call, "POST", f"statuses/{params.sha}", body)
    return Succeeded({"id": object_of(answer).get("id"), "state": params.state})


EXAMPLE = """\
repository: acme/gitops
token: {env: POSTSYNC_SECRET_GITHUB}
sha: "${{ sync.revision }}"
state: success
context: argocd/${{ application.name }}
description: Synced, and what follows has ended well
"""

handler = Handler(
    name="github.status",
    summary="Set the status of a commit on GitHub.",
    params=GitHubStatus,
    run=run,
    example=EXAMPLE,
    confine=by_parameters,
    output="`id` and `state`.",
    errors="A 403 of a rate limit is tried again when it ends.",
    lane=host_of("api"),
    rate=RATE,
    permissions="Commit statuses: write, on that repository.",
)
