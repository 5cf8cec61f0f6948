"""`argo.workflow`: submit an Argo Workflow from a template, through the Argo server.

https://argo-workflows.readthedocs.io/en/latest/rest-api/ and its swagger: CreateWorkflow,
GetWorkflow. A Workflow is created under a name of the run's, so that a repeated attempt
meets the one that is there.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any, Literal
from urllib.parse import quote

from pydantic import Field

from receiver.contract import (
    Answer,
    Call,
    Duration,
    Handler,
    Outcome,
    Params,
    Pending,
    PermanentError,
    Succeeded,
    Tls,
    host_of,
    object_of,
    raise_for_status,
)

FAILED = frozenset({"Failed", "Error"})
SHOWN = 500
"""Characters of a Workflow's message that are told."""


class ArgoWorkflow(Params):
    """Which template, and what it gets."""

    server: str = Field(description="Address of the Argo server.", min_length=1)
    token: str | None = Field(
        default=None, description="Token of a service account; `Bearer` may stand before it."
    )
    authority: str | None = Field(
        default=None,
        description="Certificates to trust, PEM: those of a server that made its own.",
    )
    namespace: str = Field(description="Namespace of the template and the Workflow.", min_length=1)
    template: str = Field(description="Name of the template.", min_length=1)
    kind: Literal["WorkflowTemplate", "ClusterWorkflowTemplate"] = Field(
        default="WorkflowTemplate", description="What the template is."
    )
    arguments: dict[str, str] = Field(default={}, description="Parameters of the Workflow.")
    labels: dict[str, str] = Field(default={}, description="Labels of the Workflow.")
    service_account: str | None = Field(
        default=None, description="Service account that the Workflow runs as."
    )
    wait: bool = Field(default=True, description="Succeed only when the Workflow has succeeded.")
    every: Duration = Field(default=10.0, ge=2, description="Time between two askings.")


def run(params: ArgoWorkflow, call: Call) -> Outcome:
    """Create the Workflow, or look how it is getting on."""
    name = call.state["name"] if call.state is not None else workflow_name(params, call)
    if call.state is None:
        answer = _ask(params, call, "POST", "", {"workflow": _workflow(params, call, name)})
        if answer.status != HTTPStatus.CONFLICT:
            raise_for_status(answer, now=call.now)
        elif not _is_ours(params, call, name):
            raise PermanentError(f"a Workflow {name} is there already, and not of this run")
        if not params.wait:
            return Succeeded({"name": name})
    return _look(params, call, name)


def workflow_name(params: ArgoWorkflow, call: Call) -> str:
    """Name the Workflow after the template and the run: 63 characters at most, a DNS label."""
    key = call.idempotency_key.replace(".", "-")
    return f"{params.template[: 62 - len(key)].rstrip('-.')}-{key}"


def _workflow(params: ArgoWorkflow, call: Call, name: str) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "workflowTemplateRef": {
            "name": params.template,
            "clusterScope": params.kind == "ClusterWorkflowTemplate",
        },
        "arguments": {"parameters": [{"name": k, "value": v} for k, v in params.arguments.items()]},
    }
    if params.service_account is not None:
        spec["serviceAccountName"] = params.service_account
    return {
        "metadata": {
            "name": name,
            "namespace": params.namespace,
            "labels": params.labels,
            "annotations": {"postsync/run": call.idempotency_key},
        },
        "spec": spec,
    }


def _look(params: ArgoWorkflow, call: Call, name: str) -> Outcome:
    answer = _ask(params, call, "GET", f"/{quote(name, safe='')}")
    if answer.status == HTTPStatus.NOT_FOUND:
        raise PermanentError(
            f"Workflow {name} is gone, how it ended nobody knows",
            hint="its ttlStrategy must be longer than `every`, or workflows be archived",
        )
    raise_for_status(answer, now=call.now)
    status = object_of(answer).get("status") or {}
    phase = status.get("phase", "")
    if phase in FAILED:
        why = answer.mask(str(status.get("message") or "no message"))[:SHOWN]
        raise PermanentError(f"Workflow {name} ended with {phase}: {why}")
    if phase != "Succeeded":
        return Pending({"name": name}, params.every)
    outputs = (status.get("outputs") or {}).get("parameters") or []
    told = {item.get("name"): item.get("value") for item in outputs}
    return Succeeded({"name": name, "phase": phase, "outputs": told})


def _is_ours(params: ArgoWorkflow, call: Call, name: str) -> bool:
    answer = _ask(params, call, "GET", f"/{quote(name, safe='')}")
    raise_for_status(answer, now=call.now)
    metadata = object_of(answer).get("metadata") or {}
    annotations = metadata.get("annotations") or {}
    return bool(annotations.get("postsync/run") == call.idempotency_key)


def _ask(
    params: ArgoWorkflow, call: Call, method: str, path: str, body: dict[str, Any] | None = None
) -> Answer:
    headers = {"Content-Type": "application/json"}
    if params.token is not None:
        headers["Authorization"] = f"Bearer {params.token.removeprefix('Bearer ')}"
    namespace = quote(params.namespace, safe="")
    url = f"{params.server.rstrip('/')}/api/v1/workflows/{namespace}{path}"
    text = None if body is None else json.dumps(body).encode()
    tls = None if params.authority is None else Tls(params.authority)
    return call.http.send(method, url, headers=headers, body=text, tls=tls)


EXAMPLE = """\
server: https://argo-server.argo.svc:2746
token: {env: POSTSYNC_SECRET_ARGO}
namespace: shop
template: smoke-test
arguments: {image: "${{ resource.images[0] }}"}
"""

handler = Handler(
    name="argo.workflow",
    summary="Submit an Argo Workflow from a template, and wait for its end.",
    params=ArgoWorkflow,
    run=run,
    example=EXAMPLE,
    output="`name`; with `wait` also `phase` and `outputs`.",
    errors="A 409 is a Workflow that an attempt before created. With `wait`, one that ended with "
    "`Failed` or `Error`, or is gone before it was seen to end, fails the run.",
    lane=host_of("server"),
    permissions="A service account that may create and get `workflows` (argoproj.io) and get the "
    "template in that namespace.",
)
