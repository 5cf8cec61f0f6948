"""`github.dispatch`: send an event of one's own to a repository.

https://docs.github.com/rest/repos/repos#create-a-repository-dispatch-event
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from handlers.github.access import RATE, GitHub, request
from handlers.github.runs import delayed, started_before
from receiver.contract import (
    Call,
    Handler,
    Outcome,
    Sent,
    Succeeded,
    TemporaryError,
    by_parameters,
    host_of,
    wrong_shape,
)

KEYS = 10
"""Of `client_payload`, at its top (the reference, `client_payload`)."""


class GitHubDispatch(GitHub):
    """The event."""

    event: str = Field(
        description="Its type, which workflows name under `repository_dispatch`.",
        min_length=1,
        max_length=100,
    )
    payload: Annotated[dict[str, Any], Sent()] = Field(
        default={},
        description="What workflows read as `github.event.client_payload`; at most ten keys, "
        "with that of `keyField`.",
    )
    key_field: str | None = Field(
        default=None,
        description="Key of the payload that gets the idempotency key. If the `run-name` of a "
        "workflow has it (`run-name: Synced ${{ github.event.client_payload.key }}`), an attempt "
        "after a lost one sees that the event was sent; without it, that attempt may send it "
        "twice.",
    )

    @model_validator(mode="after")
    def few_keys(self) -> GitHubDispatch:
        """Refuse more than GitHub takes."""
        if (count := len(self.payload | self.own_key(""))) > KEYS:
            counted = "" if self.key_field is None else ", keyField among them"
            raise wrong_shape(f"payload has {count} keys{counted}, and GitHub takes {KEYS}")
        return self

    def own_key(self, key: str) -> dict[str, str]:
        """Return the entry that has the idempotency key, if there is one."""
        return {} if self.key_field is None else {self.key_field: key}


def run(params: GitHubDispatch, call: Call) -> Outcome:
    """Send it, unless a workflow shows that an earlier attempt did."""
    sent = Succeeded({"event": params.event})
    if params.key_field is None:
        _send(params, call, params.payload)
    elif started_before(params, call, "actions/runs", "repository_dispatch") is None:
        try:
            _send(params, call, params.payload | params.own_key(call.idempotency_key))
        except TemporaryError as error:
            raise delayed(error) from None
    return sent


def _send(params: GitHubDispatch, call: Call, payload: dict[str, Any]) -> None:
    body = {"event_type": params.event, "client_payload": payload}
    request(params, call, "POST", "dispatches", body)


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
    confine=by_parameters,
    output="`event`.",
    errors="A 403 of a rate limit is tried again when it ends.",
    lane=host_of("api"),
    rate=RATE,
    permissions="Contents: write, on that repository; with `keyField` also Actions: read.",
)
