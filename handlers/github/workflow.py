"""`github.workflow`: start a workflow by workflow_dispatch, and wait for its end if wanted.

https://docs.github.com/rest/actions/workflows#create-a-workflow-dispatch-event and
https://docs.github.com/rest/actions/workflow-runs#get-a-workflow-run
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from pydantic import Field

from handlers.github.access import RATE, GitHub, ask
from receiver.contract import (
    Call,
    Duration,
    Handler,
    Outcome,
    Pending,
    PermanentError,
    Succeeded,
    host_of,
    object_of,
)

WELL = frozenset({"success", "neutral", "skipped"})


class GitHubWorkflow(GitHub):
    """The workflow and what it gets."""

    workflow: str = Field(description="File name in .github/workflows, or number.", min_length=1)
    ref: str = Field(default="main", description="Branch or tag with the workflow file.")
    inputs: dict[str, str] = Field(default={}, description="Its inputs; at most 25.", max_length=25)
    wait: bool = Field(default=False, description="Succeed only when its run has succeeded.")
    every: Duration = Field(default=15.0, ge=5, description="Time between two askings.")


def run(params: GitHubWorkflow, call: Call) -> Outcome:
    """Start it, or ask how its run is getting on.

    GitHub knows no idempotency key: an attempt that was lost may start it twice.
    """
    if call.state is not None:
        return _look(params, call, call.state)
    path = f"actions/workflows/{quote(params.workflow, safe='')}/dispatches"
    body = {"ref": params.ref, "inputs": params.inputs, "return_run_details": True}
    answer = ask(params, call, "POST", path, body)
    told = object_of(answer) if answer.body else {}
    started = {"run": told.get("workflow_run_id"), "url": told.get("html_url")}
    if not params.wait:
        return Succeeded(started)
    if started["run"] is None:
        raise PermanentError(
            "the workflow was started, but GitHub did not tell its run",
            hint="GitHub Enterprise Server may be too old for wait: true",
        )
    return Pending(started, params.every)


def _look(params: GitHubWorkflow, call: Call, started: dict[str, Any]) -> Outcome:
    told = object_of(ask(params, call, "GET", f"actions/runs/{started['run']}"))
    if told.get("status") != "completed":
        return Pending(started, params.every)
    conclusion = str(told.get("conclusion"))
    if conclusion not in WELL:
        raise PermanentError(f"the workflow ended with {conclusion}: {started['url']}")
    return Succeeded(started | {"conclusion": conclusion})


EXAMPLE = """\
repository: acme/shop
token: {env: POSTSYNC_SECRET_GITHUB}
workflow: smoke-test.yaml
inputs: {image: "${{ resource.images[0] }}"}
wait: true
"""

handler = Handler(
    name="github.workflow",
    summary="Start a GitHub Actions workflow, and wait for its conclusion if wanted.",
    params=GitHubWorkflow,
    run=run,
    example=EXAMPLE,
    lane=host_of("api"),
    rate=RATE,
    permissions="Actions: write, on that repository.",
)
