"""Workflows through the Kubernetes API."""

from __future__ import annotations

from collections.abc import Sequence

from handlers.argo_workflow.parameters import GONE, ArgoWorkflow, outcome, workflow
from handlers.kubernetes.client import Api
from handlers.kubernetes.made import create_once, made, still_there
from handlers.kubernetes.objects import Kind
from handlers.kubernetes.rehearsal import dry_create, findings, opened
from receiver.contract import Call, Finding, Outcome, Pending, Succeeded

WORKFLOW = Kind("argoproj.io/v1alpha1", "Workflow", "workflows", namespaced=True)


def run(params: ArgoWorkflow, call: Call) -> Outcome:
    """Create the Workflow, or look how it is getting on."""
    api = Api.of(params.cluster, call)
    if call.state is not None:
        found = still_there(api, WORKFLOW, call.state, GONE)
        return outcome(params, call, found, call.state)
    state = made(create_once(api, WORKFLOW, workflow(params, call)))
    return Pending(state, params.every) if params.wait else Succeeded({"name": state["name"]})


def dry_run(params: ArgoWorkflow, call: Call) -> Sequence[Finding]:
    """Ask the API server whether it would take the Workflow."""
    api = opened(params.cluster, call)
    send = dry_create(api, WORKFLOW.path(params.namespace), workflow(params, call))
    return findings(send, None, ())
