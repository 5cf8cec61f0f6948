"""`gitlab.pipeline`: start a pipeline, and wait for its end if wanted.

https://docs.gitlab.com/api/pipeline_triggers/#trigger-a-pipeline-with-a-token and
https://docs.gitlab.com/api/pipelines/. GitLab has no idempotency key: a
pipeline whose `workflow:name` has the key is found by its name.
"""

from __future__ import annotations

import json
import re
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from pydantic import Field, model_validator

from receiver.contract import (
    Answer,
    Call,
    Duration,
    Handler,
    Outcome,
    Params,
    Pending,
    PermanentError,
    Rate,
    Secret,
    Sent,
    Succeeded,
    TemporaryError,
    by_parameters,
    host_of,
    object_of,
    raise_for_status,
    wrong_shape,
)

ENDED = frozenset({"success", "failed", "canceled", "skipped"})
"""Final statuses; `manual` waits for a person, and is waited for."""

NEWEST = 100
"""Pipelines that are searched: a page of the list, newest first."""

LISTED_AFTER = 10.0
"""Seconds that a repeated attempt waits at least, so that a pipeline that was started is listed."""


class GitLabPipeline(Params):
    """Which pipeline, and what it gets."""

    project: str = Field(description="Number of the project, or its path: `acme/shop`.")
    token: Secret = Field(description="Pipeline trigger token, or a CI job token.", min_length=1)
    ref: str = Field(default="main", description="Branch or tag.")
    variables: Annotated[dict[str, str], Sent()] = Field(
        default={}, description="Variables of the pipeline."
    )
    wait: bool = Field(
        default=False, description="Succeed only when it has succeeded; needs `readToken`."
    )
    read_token: Secret | None = Field(
        default=None, description="Token that may read pipelines, for `wait` and `keyVariable`."
    )
    key_variable: str | None = Field(
        default=None,
        description="Variable that gets the idempotency key. If the pipeline's `workflow:name` has "
        "it (`name: Test $POSTSYNC_KEY`), an attempt after a lost one finds the pipeline that was "
        "started; without it, that attempt may start a second one.",
    )
    every: Duration = Field(default=15.0, ge=5, description="Time between two askings.")
    url: str = Field(
        default="https://gitlab.com", description="Address of GitLab, also a self-managed one."
    )

    @model_validator(mode="after")
    def can_wait(self) -> GitLabPipeline:
        """Refuse to wait without the means: a trigger token cannot read."""
        if self.read_token is None:
            if self.wait:
                raise wrong_shape("wait needs a readToken: a trigger token can only start")
            if self.key_variable is not None:
                raise wrong_shape("keyVariable needs a readToken: a trigger token can only start")
        return self

    @property
    def address(self) -> str:
        """The project in the API."""
        return f"{self.url.rstrip('/')}/api/v4/projects/{quote(self.project, safe='')}"


def run(params: GitLabPipeline, call: Call) -> Outcome:
    """Start it, unless an earlier attempt did, or ask how it is getting on."""
    if call.state is not None:
        return _poll(params, call, call.state)
    started = _started_before(params, call)
    if started is None:
        started = _start(params, call)
    return Pending(started, params.every) if params.wait else Succeeded(started)


def _start(params: GitLabPipeline, call: Call) -> dict[str, Any]:
    own = {} if params.key_variable is None else {params.key_variable: call.idempotency_key}
    body = {"token": params.token, "ref": params.ref, "variables": params.variables | own}
    try:
        answer = call.http.send(
            "POST",
            f"{params.address}/trigger/pipeline",
            headers={"Content-Type": "application/json"},
            body=json.dumps(body).encode(),
        )
        raise_for_status(answer, now=call.now)
        return _reference(object_of(answer))
    except TemporaryError as error:
        if params.key_variable is None:
            raise
        raise TemporaryError(
            error.message, delay=max(error.delay or 0.0, LISTED_AFTER), limited=error.limited
        ) from None


def _started_before(params: GitLabPipeline, call: Call) -> dict[str, Any] | None:
    """Return the pipeline whose name has the key, if an attempt before may have started one."""
    if params.key_variable is None or call.attempt == 1:
        return None
    query = urlencode({"source": "trigger", "ref": params.ref, "per_page": NEWEST})
    answer = _read(params, call, f"pipelines?{query}")
    try:
        listed = answer.json()
    except ValueError:
        listed = None
    if not isinstance(listed, list):
        raise TemporaryError(f"answered without a list of pipelines: {answer.excerpt()}")
    whole = re.compile(rf"(?<![\w-]){re.escape(call.idempotency_key)}(?![\w-])")
    own = (one for one in listed if whole.search(str(one.get("name"))))
    return next(map(_reference, own), None)


def _reference(pipeline: dict[str, Any]) -> dict[str, Any]:
    return {"id": pipeline.get("id"), "url": pipeline.get("web_url")}


def _read(params: GitLabPipeline, call: Call, path: str) -> Answer:
    headers = {"PRIVATE-TOKEN": params.read_token or ""}
    answer = call.http.send("GET", f"{params.address}/{path}", headers=headers)
    raise_for_status(answer, now=call.now)
    return answer


def _poll(params: GitLabPipeline, call: Call, started: dict[str, Any]) -> Outcome:
    status = str(object_of(_read(params, call, f"pipelines/{started['id']}")).get("status"))
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
    confine=by_parameters,
    output="`id` and `url`; with `wait` also `status`.",
    errors="With `wait`, a pipeline that ended otherwise than with `success` fails the run.",
    lane=host_of("url"),
    # https://docs.gitlab.com/user/gitlab_com/#rate-limits-on-gitlabcom: 2,000 calls of the API a
    # minute and user; how many at once is our choice.
    rate=Rate(per_second=2000 / 60, burst=100),
    permissions="A pipeline trigger token of that project; for `wait` and `keyVariable` also a "
    "project access token with the role Reporter and the scope `read_api`.",
)
