"""`github.workflow`: start a workflow by workflow_dispatch, and wait for its end if wanted.

https://docs.github.com/rest/actions/workflows#create-a-workflow-dispatch-event and
https://docs.github.com/rest/actions/workflow-runs#get-a-workflow-run
"""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

from pydantic import Field, model_validator

from handlers.github.access import RATE, GitHub, request
from handlers.github.runs import delayed, find, started_before
from receiver.contract import (
    Call,
    Duration,
    Handler,
    Outcome,
    Pending,
    PermanentError,
    Sent,
    Succeeded,
    TemporaryError,
    by_parameters,
    host_of,
    object_of,
    wrong_shape,
)

WELL = frozenset({"success", "neutral", "skipped"})
EVENT = "workflow_dispatch"
INPUTS = 25
"""The reference, `inputs`."""


class GitHubWorkflow(GitHub):
    """The workflow and what it gets."""

    workflow: str = Field(description="File name in .github/workflows, or number.", min_length=1)
    ref: str = Field(default="main", description="Branch or tag with the workflow file.")
    inputs: Annotated[dict[str, str], Sent()] = Field(
        default={}, description="Its inputs; at most 25, with `keyInput`."
    )
    key_input: str | None = Field(
        default=None,
        description="Input that gets the idempotency key. If the workflow's `run-name` has it "
        "(`run-name: Test ${{ inputs.key }}`), an attempt after a lost one finds the run that was "
        "started; without it, that attempt may start a second one.",
    )
    wait: bool = Field(default=False, description="Succeed only when its run has succeeded.")
    every: Duration = Field(default=15.0, ge=5, description="Time between two askings.")

    @model_validator(mode="after")
    def can_wait(self) -> GitHubWorkflow:
        """Refuse to wait for a run whose id is not returned."""
        if self.wait and self.key_input is None and self.api_version == "2022-11-28":
            raise wrong_shape("wait needs a keyInput: this apiVersion does not tell the run")
        return self

    @model_validator(mode="after")
    def few_inputs(self) -> GitHubWorkflow:
        """Refuse more than GitHub takes."""
        if (count := len(self.inputs | self.own_input(""))) > INPUTS:
            counted = "" if self.key_input is None else ", keyInput among them"
            raise wrong_shape(f"there are {count} inputs{counted}, and GitHub takes {INPUTS}")
        return self

    def own_input(self, key: str) -> dict[str, str]:
        """Return the input that gets the idempotency key, if there is one."""
        return {} if self.key_input is None else {self.key_input: key}

    @property
    def path(self) -> str:
        """The workflow in the API."""
        return f"actions/workflows/{quote(self.workflow, safe='')}"


def run(params: GitHubWorkflow, call: Call) -> Outcome:
    """Start it, or ask how its run is getting on."""
    if call.state is not None:
        return _poll(params, call, call.state)
    started = None
    if params.key_input is not None:
        started = started_before(params, call, f"{params.path}/runs", EVENT)
    if started is None:
        started = _start(params, call)
    return Pending(started, params.every) if params.wait else Succeeded(started)


def _start(params: GitHubWorkflow, call: Call) -> dict[str, Any]:
    """Start it; the newer API returns its run, the older one answers 204."""
    inputs = params.inputs | params.own_input(call.idempotency_key)
    body = {"ref": params.ref, "inputs": inputs}
    try:
        answer = request(params, call, "POST", f"{params.path}/dispatches", body)
    except TemporaryError as error:
        raise (error if params.key_input is None else delayed(error)) from None
    data = object_of(answer) if answer.body else {}
    started = {"run": data.get("workflow_run_id"), "url": data.get("html_url")}
    if params.wait and started["run"] is None and params.key_input is None:
        raise PermanentError(
            "the workflow was started, but GitHub did not tell its run",
            hint="with keyInput it is found by its title",
        )
    return started


def _poll(params: GitHubWorkflow, call: Call, started: dict[str, Any]) -> Outcome:
    if started["run"] is None:
        found = find(params, call, f"{params.path}/runs", EVENT)
        return Pending(found or started, params.every)
    data = object_of(request(params, call, "GET", f"actions/runs/{started['run']}"))
    if data.get("status") != "completed":
        return Pending(started, params.every)
    conclusion = str(data.get("conclusion"))
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
    confine=by_parameters,
    output="`run` and `url`; with `wait` also `conclusion`.",
    errors="A 403 of a rate limit is tried again when it ends. With `wait`, a run that ended "
    "otherwise than well fails the run.",
    lane=host_of("api"),
    rate=RATE,
    permissions="Actions: write, on that repository.",
)
