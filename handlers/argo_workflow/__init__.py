"""`argo.workflow`: submit an Argo Workflow from a template, and wait for its end.

Through the Argo server, or through the Kubernetes API, by which the controller sees it as well.
A Workflow's name is made of the run's idempotency key, so that a repeated attempt finds the one
that is there.
"""

from __future__ import annotations

from collections.abc import Sequence

from handlers.argo_workflow import in_cluster, on_server
from handlers.argo_workflow.parameters import ArgoWorkflow
from handlers.kubernetes.run_labels import complete
from receiver.contract import Call, Finding, Handler, Outcome, host_of, needs

__all__ = ["ArgoWorkflow", "handler"]


def run(params: ArgoWorkflow, call: Call) -> Outcome:
    """Create the Workflow, or check how it is getting on."""
    if params.server is None:
        return in_cluster.run(params, call)
    return on_server.run(params, call)


def dry_run(params: ArgoWorkflow, call: Call) -> Sequence[Finding]:
    """Ask the API server; the Argo server has no dry run."""
    return in_cluster.dry_run(params, call) if params.server is None else ()


EXAMPLE = """\
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
    confine=needs("cluster", "server"),
    complete=complete,
    dry_run=dry_run,
    output="`name`; with `wait` also `phase` and `outputs`.",
    errors="A 409 is a Workflow that an attempt before created. With `wait`, one that ended with "
    "`Failed` or `Error`, or is gone before it was seen to end, fails the run.",
    lane=host_of("server"),
    permissions="A service account that may `create` and `get` `workflows` (argoproj.io) in that "
    "namespace; with `server` it must `get` the template too.",
)
