"""`kubernetes.event`: report the outcome by an Event on the resource or the Application.

An Event of `v1` and one of `events.k8s.io/v1` are one object; the former takes the times that
Argo CD's page shows (its events-list.tsx), and the latter refuses them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import Field

from handlers.kubernetes import run_labels
from handlers.kubernetes.client import Api
from handlers.kubernetes.object_dry_run import dry_run_kind
from handlers.kubernetes.objects import ObjectRef, OnObject, kind_of
from handlers.kubernetes.objects import complete as about_resource
from handlers.kubernetes.run_objects import KEY, name_for
from handlers.kubernetes.tenancy import object_in_namespace
from receiver.contract import Call, Handler, Outcome, PermanentError, Succeeded, cut_bytes
from receiver.kubernetes.api_errors import Refused
from receiver.kubernetes.objects import Object
from receiver.kubernetes.paths import path_of

LONGEST_NOTE = 1024
"""Bytes: https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/."""
APPLICATION = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Application"}
CLUSTER_WIDE = "default"
"""Where Kubernetes wants the Events on what is in no namespace."""
CONTROLLER = "postsync"


class KubernetesEvent(OnObject):
    """On what, and what it says; by default how the actions before it ended."""

    uid: str | None = Field(
        default=None,
        description="The object's uid, by which its page finds the Event; by default the cluster "
        "is asked, and of the Application it is known.",
    )
    type: Literal["Normal", "Warning"] = Field(
        default="Normal", description="By default `Warning` if an action before it has failed."
    )
    reason: str = Field(
        default="PostSync",
        pattern=r"^[A-Z][A-Za-z0-9]*$",
        max_length=128,
        description="By default `PostSyncSucceeded` or `PostSyncFailed`.",
    )
    note: str = Field(
        default="",
        description="By default the rule, its actions, and of a failure the reason; it is cut to "
        f"{LONGEST_NOTE} bytes.",
    )
    labels: dict[str, str] = Field(default={}, description="Further labels of the Event.")
    annotations: dict[str, str] = Field(default={}, description="Further annotations of the Event.")


def complete(parameters: dict[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Add the object, and how the earlier actions ended, where the rule does not say it."""
    given = about_resource(run_labels.complete(parameters, facts), facts)
    if "object" not in given:
        application = facts["application"]
        names = {"namespace": application["namespace"] or None, "name": application["name"]}
        given |= {"object": APPLICATION | names, "uid": given.get("uid") or application["uid"]}
    failed = next(_failed(facts["actions"]), None)
    defaults = {
        "type": "Warning" if failed else "Normal",
        "reason": "PostSyncFailed" if failed else "PostSyncSucceeded",
        "note": f"Rule {facts['rule']}: {failed or _good(facts)}",
    }
    return {**defaults, **given}


def _failed(actions: Mapping[str, Any]) -> Iterator[str]:
    for name, one in actions.items():
        for run in one["runs"]:
            if run["state"] in {"failed", "cancelled"}:
                yield f"{name} ({run['target']}) {run['state']}: {run['reason']}"


def _good(facts: Mapping[str, Any]) -> str:
    done = [
        name
        for name, one in facts["actions"].items()
        if any(run["state"] == "succeeded" for run in one["runs"])
    ]
    return f"{', '.join(done)} succeeded" if done else f"sync {facts['sync']['id']}"


def run(params: KubernetesEvent, call: Call) -> Outcome:
    """Create the Event; a repeated attempt finds the one that is there."""
    if params.object_ is None:
        raise PermanentError("object is missing, and this run is not about one resource")
    api = Api.of(params.cluster, call)
    regarding = _regarding(api, params.object_, params.uid)
    event = _event(params, call, regarding)
    metadata = event["metadata"]
    try:
        api.create(path_of("v1", "events", metadata["namespace"]), event)
    except Refused as error:
        if error.reason != "AlreadyExists":
            raise
    return Succeeded({"namespace": metadata["namespace"], "name": metadata["name"]})


def _regarding(api: Api, ref: ObjectRef, uid: str | None) -> Object:
    """Return a reference to the object, without its uid if it is gone meanwhile."""
    if uid and ref.api_version:
        version, namespace = ref.api_version, ref.namespace
    else:
        kind = kind_of(api, ref.api_version, ref.group, ref.kind)
        version, namespace = kind.api_version, ref.namespace if kind.namespaced else None
        found = None if uid else api.find(kind.path(namespace, ref.name))
        uid = found["metadata"]["uid"] if found else uid
    parts = {
        "apiVersion": version, "kind": ref.kind, "namespace": namespace, "name": ref.name,
        "uid": uid,
    }  # fmt: skip
    return {name: value for name, value in parts.items() if value}


def _event(params: KubernetesEvent, call: Call, regarding: Object) -> Object:
    moment = f"{call.now:%Y-%m-%dT%H:%M:%S}"
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": name_for(regarding["name"], call.idempotency_key),
            "namespace": regarding.get("namespace", CLUSTER_WIDE),
            "labels": params.labels,
            "annotations": {**params.annotations, KEY: call.idempotency_key},
        },
        "involvedObject": regarding,
        "type": params.type,
        "reason": params.reason,
        "message": cut_bytes(params.note, LONGEST_NOTE),
        "action": "PostSync",
        "count": 1,
        "eventTime": f"{moment}.{call.now:%f}Z",
        "firstTimestamp": f"{moment}Z",
        "lastTimestamp": f"{moment}Z",
        "reportingComponent": CONTROLLER,
        "reportingInstance": call.run,
        "source": {"component": CONTROLLER},
    }


handler = Handler(
    name="kubernetes.event",
    summary="Tell of the outcome by an Event, as `kubectl describe` and Argo CD show it.",
    params=KubernetesEvent,
    run=run,
    confine=object_in_namespace,
    example="""\
object: {apiVersion: apps/v1, kind: Deployment, namespace: shop, name: web}
reason: CachePurged
note: "the cache of ${{ application.name }} was purged"
""",
    complete=complete,
    dry_run=dry_run_kind,
    permissions="`create` on `events` in the object's namespace (`default` for what is in none); "
    "`get` on its kind, but for an Application. See [kubernetes.md](kubernetes.md#rights).",
    output="`namespace` and `name` of the Event.",
)
