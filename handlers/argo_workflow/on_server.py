"""Workflows through the Argo server.

https://argo-workflows.readthedocs.io/en/latest/rest-api/ and its swagger: CreateWorkflow,
GetWorkflow.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from handlers.argo_workflow.parameters import GONE, ArgoWorkflow, outcome, workflow
from handlers.kubernetes.run_objects import KEY
from receiver.contract import (
    Answer,
    Call,
    Outcome,
    PermanentError,
    Succeeded,
    Tls,
    object_of,
    raise_for_status,
)
from receiver.kubernetes.paths import below


def run(params: ArgoWorkflow, call: Call) -> Outcome:
    """Create the Workflow, or check how it is getting on."""
    if call.state is not None:
        return _poll(params, call, call.state["name"])
    manifest = workflow(params, call)
    name = manifest["metadata"]["name"]
    answer = _request(params, call, "POST", "", {"workflow": manifest})
    if answer.status != HTTPStatus.CONFLICT:
        raise_for_status(answer, now=call.now)
    elif not _is_ours(params, call, name):
        raise PermanentError(f"a Workflow {name} is there already, and not of this run")
    return _poll(params, call, name) if params.wait else Succeeded({"name": name})


def _poll(params: ArgoWorkflow, call: Call, name: str) -> Outcome:
    answer = _request(params, call, "GET", name)
    if answer.status == HTTPStatus.NOT_FOUND:
        raise PermanentError(f"Workflow {name} is gone, how it ended nobody knows", hint=GONE)
    raise_for_status(answer, now=call.now)
    return outcome(params, call, object_of(answer), {"name": name})


def _is_ours(params: ArgoWorkflow, call: Call, name: str) -> bool:
    answer = _request(params, call, "GET", name)
    raise_for_status(answer, now=call.now)
    metadata = object_of(answer).get("metadata") or {}
    annotations = metadata.get("annotations") or {}
    return bool(annotations.get(KEY) == call.idempotency_key)


def _request(
    params: ArgoWorkflow, call: Call, method: str, name: str, body: dict[str, Any] | None = None
) -> Answer:
    """Ask for the Workflow of a name, "" for all of the namespace."""
    headers = {"Content-Type": "application/json"}
    if params.token is not None:
        headers["Authorization"] = f"Bearer {params.token.removeprefix('Bearer ')}"
    where = below("/api/v1/workflows", params.namespace)
    url = f"{(params.server or '').rstrip('/')}{below(where, name) if name else where}"
    text = None if body is None else json.dumps(body).encode()
    tls = None if params.authority is None else Tls(params.authority)
    return call.http.send(method, url, headers=headers, body=text, tls=tls)
