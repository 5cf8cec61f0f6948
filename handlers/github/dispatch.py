"""`github.dispatch`: send an event of one's own to a repository.

https://docs.github.com/rest/repos/repos#create-a-repository-dispatch-event
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from handlers.github.access import RATE, GitHub, ask
from receiver.contract import Call, Handler, Outcome, Succeeded, host_of


class GitHubDispatch(GitHub):
    """The event."""

    event: str = Field(
        description="Its type, which workflows name under `repository_dispatch`.",
        min_length=1,
        max_length=100,
    )
    payload: dict[str, Any] = Field(
        default={},
        description="What workflows read as `github.event.client_payload`; at most ten keys.",
        max_length=10,
    )


def run(params: GitHubDispatch, call: Call) -> Outcome:
    """Send it. GitHub knows no idempotency key: an attempt that was lost may send it twice."""
    body = {"event_type": params.event, "client_payload": params.payload}
    ask(params, call, "POST", "dispatches", body)
    return Succeeded({"event": params.event})


EXAMPLE = """\
repository: acme/shop
token: {env: POSTSYNC_SECRET_GITHUB}
event: synced
payload: {application: "${{ application.name }}", revision: "${{ sync.revision }}"}
"""

handler = Handler(
    name="github.dispatch",
    summary="Send a repository_dispatch event to a GitHub repository.",
    params=GitHubDispatch,
    run=run,
    example=EXAMPLE,
    lane=host_of("api"),
    rate=RATE,
    permissions="Contents: write, on that repository.",
)
