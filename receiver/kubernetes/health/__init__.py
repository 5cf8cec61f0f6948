"""Checks whether an object is healthy, by Argo CD's rules.

Its rules: https://github.com/argoproj/argo-cd/tree/master/gitops-engine/pkg/health. Where it has
none of its own for a kind, we go by the conditions that most kinds have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from receiver.kubernetes.health.argo import application, rollout
from receiver.kubernetes.health.bindings import ingress, service, volume_claim
from receiver.kubernetes.health.pods import pod
from receiver.kubernetes.health.result import (
    HEALTHY,
    UNSEEN,
    Health,
    conditions,
    generation_of,
    group_of,
    mapping,
    number,
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

__all__ = ["HEALTHY", "Health", "argocd_health", "health"]

CHECKS: Mapping[tuple[str, str], Callable[[Object], Health]] = {
    ("", "Pod"): pod,
    ("", "PersistentVolumeClaim"): volume_claim,
    ("", "Service"): service,
    ("apps", "DaemonSet"): daemon_set,
    ("apps", "Deployment"): deployment,
    ("apps", "ReplicaSet"): replica_set,
    ("apps", "StatefulSet"): stateful_set,
    ("batch", "Job"): job,
    ("argoproj.io", "Application"): application,
    ("argoproj.io", "Rollout"): rollout,
    ("networking.k8s.io", "Ingress"): ingress,
}
USUAL = ("Ready", "Available", "Established")
"""Conditions of other kinds that mean healthy."""
CONDITIONED = ("apiextensions.k8s.io", "apiregistration.k8s.io")
"""Groups of Kubernetes whose kinds have such a condition, once their controller has seen them."""
WAITING = progressing(f"it has none of the conditions {', '.join(USUAL)} yet")


def health(found: Object) -> Health:
    """Return the health of an object as it is now, for who waits until a controller has been at it.

    A custom resource without a rule has to have a condition, for its controller may not have seen
    the object yet.
    """
    return _judge(found, WAITING)


def argocd_health(found: Object) -> Health:
    """Return the health of an object of an Application as it is now.

    A custom resource without a rule, and without a condition, is healthy: Argo CD does not judge
    it, and most such kinds (ServiceMonitor, VirtualService, AppProject) never have one.
    """
    return _judge(found, HEALTHY)


def _judge(found: Object, bare: Health) -> Health:
    """Return the health; ``bare`` is that of a custom resource without a usual condition."""
    if "deletionTimestamp" in mapping(found, "metadata"):
        return progressing("it is being deleted")
    check = CHECKS.get((group_of(found), str(found.get("kind"))))
    return check(found) if check else _by_condition(found, bare)


def _by_condition(found: Object, bare: Health) -> Health:
    """Check a kind without a rule: by its condition, else it is enough that it exists.

    A condition that is False is never the end: most controllers begin with it.
    """
    known = {str(one.get("type")): one for one in conditions(found)}
    condition = next((known[name] for name in USUAL if name in known), None)
    if condition is None:
        return _without_condition(group_of(found), bare)
    seen = number(condition, "observedGeneration") or number(status_of(found), "observedGeneration")
    if seen is not None and seen < generation_of(found):
        return UNSEEN
    if condition.get("status") == "True":
        return HEALTHY
    why = condition.get("message") or condition.get("reason") or ""
    return progressing(f"{condition.get('type')} is {condition.get('status')}: {why}".strip(": "))


def _without_condition(group: str, bare: Health) -> Health:
    if group in CONDITIONED:
        return WAITING
    return HEALTHY if "." not in group or group.endswith(".k8s.io") else bare
