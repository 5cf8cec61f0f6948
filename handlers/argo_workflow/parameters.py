"""What stands under `with` of `argo.workflow`, and the Workflow that is made of it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from handlers.kubernetes.cluster import OnCluster
from handlers.kubernetes.run_objects import KEY, name_for
from receiver.contract import (
    Call,
    Duration,
    Outcome,
    Pending,
    PermanentError,
    Secret,
    Sent,
    Succeeded,
    wrong_shape,
)

FAILED = frozenset({"Failed", "Error"})
MESSAGE_LENGTH = 500
"""Characters of a Workflow's message that are kept."""
GONE = "its ttlStrategy must be longer than `every`, or workflows be archived"


class ArgoWorkflow(OnCluster):
    """Which template, and what it gets."""

    server: str | None = Field(
        default=None,
        min_length=1,
        description="Address of the Argo server, for example `https://argo-server.argo.svc:2746`. "
        "Without it, the Workflow is created through the Kubernetes API of `cluster`.",
    )
    token: Secret | None = Field(
        default=None,
        description="For `server`: token of a service account; `Bearer` may stand before it.",
    )
    authority: str | None = Field(
        default=None,
        description="For `server`: certificates to trust, PEM: those of one that made its own.",
    )
    namespace: str = Field(description="Namespace of the template and the Workflow.", min_length=1)
    template: str = Field(description="Name of the template.", min_length=1)
    kind: Literal["WorkflowTemplate", "ClusterWorkflowTemplate"] = Field(
        default="WorkflowTemplate", description="What the template is."
    )
    arguments: Annotated[dict[str, str], Sent()] = Field(
        default={}, description="Parameters of the Workflow."
    )
    labels: dict[str, str] = Field(default={}, description="Further labels of the Workflow.")
    annotations: dict[str, str] = Field(
        default={}, description="Further annotations of the Workflow."
    )
    service_account: str | None = Field(
        default=None, description="Service account that the Workflow runs as."
    )
    wait: bool = Field(default=True, description="Succeed only when the Workflow has succeeded.")
    every: Duration = Field(default=10.0, ge=2, description="Time between two askings.")

    @model_validator(mode="after")
    def one_way(self) -> ArgoWorkflow:
        """Refuse two ways to Argo, and what belongs to the other one."""
        if self.server is not None and self.cluster is not None:
            raise wrong_shape("give server or cluster, not both")
        if self.server is None and (self.token is not None or self.authority is not None):
            raise wrong_shape("token and authority belong to server")
        return self


def workflow(params: ArgoWorkflow, call: Call) -> dict[str, Any]:
    """Return the manifest, named after the run: 63 characters at most, a DNS label."""
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
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {
            "name": name_for(params.template, call.idempotency_key),
            "namespace": params.namespace,
            "labels": params.labels,
            "annotations": {**params.annotations, KEY: call.idempotency_key},
        },
        "spec": spec,
    }


def outcome(params: ArgoWorkflow, call: Call, found: dict[str, Any], state: Any) -> Outcome:
    """Return what a Workflow's status means.

    Args:
        params: the action's.
        call: the attempt.
        found: the Workflow as it is now.
        state: to ask again with.

    Raises:
        PermanentError: it has failed.
    """
    name = state["name"]
    status = found.get("status") or {}
    phase = status.get("phase", "")
    if phase in FAILED:
        why = call.mask(str(status.get("message") or "no message"))[:MESSAGE_LENGTH]
        raise PermanentError(f"Workflow {name} ended with {phase}: {why}")
    if phase != "Succeeded":
        return Pending(state, params.every)
    outputs = (status.get("outputs") or {}).get("parameters") or []
    values = {item.get("name"): item.get("value") for item in outputs}
    return Succeeded({"name": name, "phase": phase, "outputs": values})
