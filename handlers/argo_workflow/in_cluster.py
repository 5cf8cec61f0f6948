"""Workflows through the Kubernetes API."""

from __future__ import annotations

from collections.abc import Sequence

from handlers.argo_workflow.parameters import GONE, ArgoWorkflow, outcome, workflow
from handlers.kubernetes.client import Api
from handlers.kubernetes.dry_run import dry_run_create, dry_run_findings, open_cluster
from handlers.kubernetes.objects import Kind
from handlers.kubernetes.run_objects import create_once, require_created, run_state
from receiver.contract import Call, Finding, Outcome, Pending, Succeeded

WORKFLOW = Kind("argoproj.io/v1alpha1", "Workflow", "workflows", namespaced=True)


def run(params: ArgoWorkflow, call: Call) -> Outcome:
    """Create the Workflow, or check how it is getting on."""
    api = Api.of(params.cluster, call)
    if call.state is not None:
        found = require_created(api, WORKFLOW, call.state, GONE)
        return outcome(params, call, found, call.state)
    state = run_state(create_once(api, WORKFLOW, workflow(params, call)))
    return Pending(state, params.every) if params.wait else Succeeded({"name": state["name"]})


def dry_run(params: ArgoWorkflow, call: Call) -> Sequence[Finding]:
    """Ask the API server whether it would take the Workflow."""
    api = open_cluster(params.cluster, call)
    send = dry_run_create(api, WORKFLOW.path(params.namespace), workflow(params, call))
    return dry_run_findings(send, None, ())
