"""`kubernetes.restart`: replace the pods of a workload, as `kubectl rollout restart` does."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from handlers.kubernetes.client import Api
from handlers.kubernetes.cluster import OnCluster
from handlers.kubernetes.object_dry_run import dry_run_kind
from handlers.kubernetes.objects import AT_ONCE, ObjectRef, complete, identity, locate
from handlers.kubernetes.tenancy import object_in_namespace
from receiver.contract import (
    Call,
    Duration,
    Handler,
    Json,
    Outcome,
    Pending,
    PermanentError,
    Succeeded,
)
from receiver.kubernetes.health import health
from receiver.kubernetes.objects import Object

__all__ = ["handler"]

RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
"""The annotation of kubectl (k8s.io/kubectl, polymorphichelpers/objectrestarter.go)."""
MERGE = "application/merge-patch+json"


class Workload(ObjectRef):
    """A workload with a template for its pods."""

    api_version: str | None = Field(
        default="apps/v1", pattern=r"^apps/v1$", description="Group and version of its kind."
    )
    group: str | None = Field(
        default=None, pattern=r"^apps$", description="The group, instead of `apiVersion`."
    )
    kind: Literal["Deployment", "StatefulSet", "DaemonSet"] = Field(description="Its kind.")


class KubernetesRestart(OnCluster):
    """What is restarted."""

    object_: Workload | None = Field(
        default=None,
        alias="object",
        description="The workload; by default the resource that the run is about.",
    )
    wait: bool = Field(
        default=True,
        description="Succeed only when all pods are new and available, and fail when their "
        "Deployment's `progressDeadlineSeconds` has passed.",
    )
    every: Duration = Field(default=5.0, ge=1, description="Time between two lookings at it.")


def run(params: KubernetesRestart, call: Call) -> Outcome:
    """Take the run's next step; the state says which."""
    api = Api.of(params.cluster, call)
    state: dict[str, Any] = call.state if isinstance(call.state, dict) else {}
    if "at" not in state:
        return _prepare(params, api)
    if "restarted" not in state:
        return _restart(params, api, state)
    return _poll(params, api, state)


def _prepare(params: KubernetesRestart, api: Api) -> Outcome:
    """Choose the restart's time: once it is stored, a repeated restart is the same one."""
    ref, path = locate(api, params.object_)
    if (_there(params, api, path).get("spec") or {}).get("paused"):
        raise PermanentError(f"{ref} is paused, and a paused one does not restart")
    return Pending({"path": path, "at": api.call.now.isoformat()}, AT_ONCE)


def _restart(params: KubernetesRestart, api: Api, state: dict[str, Any]) -> Outcome:
    annotations: Json = {"annotations": {RESTARTED_AT: state["at"]}}
    found = api.patch(state["path"], {"spec": {"template": {"metadata": annotations}}}, MERGE)
    if not params.wait:
        return _end(found, state)
    return Pending(state | {"restarted": True}, params.every)


def _poll(params: KubernetesRestart, api: Api, state: dict[str, Any]) -> Outcome:
    found = _there(params, api, state["path"])
    found_health = health(found)
    if found_health.status == "Degraded":
        raise PermanentError(f"{params.object_} is degraded: {api.call.mask(found_health.message)}")
    return _end(found, state) if found_health.status == "Healthy" else Pending(state, params.every)


def _there(params: KubernetesRestart, api: Api, path: str) -> Object:
    found = api.find(path)
    if found is None:
        raise PermanentError(f"there is no {params.object_}")
    return found


def _end(found: Object, state: dict[str, Any]) -> Succeeded:
    return Succeeded(identity(found) | {"restartedAt": state["at"]})


EXAMPLE = """\
object: {kind: Deployment, namespace: shop, name: worker}
"""

handler = Handler(
    name="kubernetes.restart",
    summary="Restart the pods of a Deployment, StatefulSet or DaemonSet.",
    params=KubernetesRestart,
    run=run,
    example=EXAMPLE,
    confine=object_in_namespace,
    dry_run=dry_run_kind,
    complete=complete,
    permissions="`get` and `patch` on the kind. See [kubernetes.md](kubernetes.md#rights).",
    output="`apiVersion`, `kind`, `namespace`, `name`, `uid`, `generation`, `resourceVersion`, "
    "`restartedAt`.",
    errors="See [kubernetes.md](kubernetes.md#what-refusals-mean).",
)
