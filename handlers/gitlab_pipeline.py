"""`gitlab.pipeline`: start a pipeline, and wait for its end if wanted.

https://docs.gitlab.com/api/pipeline_triggers/#trigger-a-pipeline-with-a-token and
https://docs.gitlab.com/api/pipelines/#retrieve-a-single-pipeline
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from pydantic import Field, model_validator

from receiver.contract import (
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
    wrong_shape,
)

ENDED = frozenset({"success", "failed", "canceled", "skipped"})
"""Statuses in which nothing more happens; `manual` waits for a person, and so do we."""


class GitLabPipeline(Params):
    """Which pipeline, and what it gets."""

    project: str = Field(description="Number of the project, or its path: `acme/shop`.")
    token: str = Field(description="Pipeline trigger token, or a CI job token.", min_length=1)
    ref: str = Field(default="main", description="Branch or tag.")
    variables: dict[str, str] = Field(default={}, description="Variables of the pipeline.")
    wait: bool = Field(
        default=False, description="Succeed only when it has succeeded; needs `readToken`."
    )
    read_token: str | None = Field(
        default=None, description="Token that may read the pipeline, for `wait`."
    )
    every: Duration = Field(default=15.0, ge=5, description="Time between two askings.")
    url: str = Field(default="https://gitlab.com", description="Address of GitLab.")

    @model_validator(mode="after")
    def can_wait(self) -> GitLabPipeline:
        """Refuse to wait without the means: a trigger token cannot read."""
        if self.wait and self.read_token is None:
            raise wrong_shape("wait needs a readToken: a trigger token can only start")
        return self

    @property
    def address(self) -> str:
        """The project in the API."""
        return f"{self.url}/api/v4/projects/{quote(self.project, safe='')}"


def run(params: GitLabPipeline, call: Call) -> Outcome:
    """Start it, or ask how it is getting on.

    GitLab knows no idempotency key: an attempt that was lost may start it twice.
    """
    if call.state is not None:
        return _look(params, call, call.state)
    body = {"token": params.token, "ref": params.ref, "variables": params.variables}
    answer = call.http.send(
        "POST",
        f"{params.address}/trigger/pipeline",
        headers={"Content-Type": "application/json"},
        body=json.dumps(body).encode(),
    )
    raise_for_status(answer, now=call.now)
    told = object_of(answer)
    started = {"id": told.get("id"), "url": told.get("web_url")}
    return Pending(started, params.every) if params.wait else Succeeded(started)


def _look(params: GitLabPipeline, call: Call, started: dict[str, Any]) -> Outcome:
    answer = call.http.send(
        "GET",
        f"{params.address}/pipelines/{started['id']}",
        headers={"PRIVATE-TOKEN": params.read_token or ""},
    )
    raise_for_status(answer, now=call.now)
    status = str(object_of(answer).get("status"))
    if status not in ENDED:
        return Pending(started, params.every)
    if status != "success":
        raise PermanentError(f"the pipeline ended with {status}: {started['url']}")
    return Succeeded(started | {"status": status})


EXAMPLE = """\
project: acme/shop
token: {env: POSTSYNC_SECRET_GITLAB_TRIGGER}
ref: main
variables: {IMAGE: "${{ resource.images[0] }}"}
"""

handler = Handler(
    name="gitlab.pipeline",
    summary="Start a GitLab pipeline, and wait for its end if wanted.",
    params=GitLabPipeline,
    run=run,
    example=EXAMPLE,
    lane=host_of("url"),
    permissions="A pipeline trigger token of that project; to wait also a project access token "
    "with the scope `read_api`.",
)
