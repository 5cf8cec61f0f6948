"""Checks whether an object is healthy, by Argo CD's rules.

Its rules: https://github.com/argoproj/argo-cd/tree/master/gitops-engine/pkg/health. Where it has
none of its own for a kind, we go by the conditions that most kinds have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from receiver.kubernetes.health.bindings import ingress, service, volume_claim
from receiver.kubernetes.health.pods import pod
from receiver.kubernetes.health.result import (
    HEALTHY,
    Health,
    conditions,
    group_of,
    progressing,
    status_of,
)
from receiver.kubernetes.health.workloads import (
    daemon_set,
    deployment,
    job,
    replica_set,
    stateful_set,
)
from receiver.kubernetes.objects import Object

__all__ = ["HEALTHY", "Health", "health"]

CHECKS: Mapping[tuple[str, str], Callable[[Object], Health]] = {
    ("", "Pod"): pod,
    ("", "PersistentVolumeClaim"): volume_claim,
    ("", "Service"): service,
    ("apps", "DaemonSet"): daemon_set,
    ("apps", "Deployment"): deployment,
    ("apps", "ReplicaSet"): replica_set,
    ("apps", "StatefulSet"): stateful_set,
    ("batch", "Job"): job,
    ("networking.k8s.io", "Ingress"): ingress,
}
USUAL = ("Ready", "Available", "Established")
"""Conditions of other kinds that mean healthy."""
CONDITIONED = ("apiextensions.k8s.io", "apiregistration.k8s.io")
"""Groups of Kubernetes whose kinds have such a condition, once their controller has seen them."""


def health(found: Object) -> Health:
    """Return the health of an object as it is now."""
    if "deletionTimestamp" in found["metadata"]:
        return progressing("it is being deleted")
    check = CHECKS.get((group_of(found), str(found.get("kind"))), by_condition)
    return check(found)


def by_condition(found: Object) -> Health:
    """Check a kind without a rule: by its condition, else it is enough that it exists.

    A condition that is False is never the end: most controllers begin with it. A kind of a
    custom resource has to have one, for its controller may not have seen the object yet.
    """
    known = {str(one.get("type")): one for one in conditions(found)}
    condition = next((known[name] for name in USUAL if name in known), None)
    if condition is None:
        return _without_condition(group_of(found))
    generation = found["metadata"].get("generation") or 0
    seen = condition.get("observedGeneration") or status_of(found).get("observedGeneration")
    if seen is not None and seen < generation:
        return progressing("its controller has not seen it yet")
    if condition.get("status") == "True":
        return HEALTHY
    why = condition.get("message") or condition.get("reason") or ""
    return progressing(f"{condition.get('type')} is {condition.get('status')}: {why}".strip(": "))


def _without_condition(group: str) -> Health:
    if ("." not in group or group.endswith(".k8s.io")) and group not in CONDITIONED:
        return HEALTHY
    return progressing(f"it has none of the conditions {', '.join(USUAL)} yet")
