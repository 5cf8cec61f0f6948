"""Workloads: healthy when all their pods are those of today's template, and available."""

from __future__ import annotations

from receiver.kubernetes.health.result import (
    HEALTHY,
    UNSEEN,
    Health,
    conditions,
    degraded,
    is_seen,
    mapping,
    number,
    progressing,
    spec_of,
    status_of,
)
from receiver.kubernetes.objects import Object


def deployment(found: Object) -> Health:
    """Check a Deployment, as `kubectl rollout status` does too."""
    if spec_of(found).get("paused"):
        return Health("Suspended", "it is paused")
    if not is_seen(found):
        return UNSEEN
    for one in conditions(found):
        if one.get("type") == "Progressing" and one.get("reason") == "ProgressDeadlineExceeded":
            return degraded(f"its progressDeadlineSeconds passed: {one.get('message') or ''}")
    return _rollout(found)


def _rollout(found: Object) -> Health:
    wanted = _wanted(found)
    updated, available = _count(found, "updatedReplicas"), _count(found, "availableReplicas")
    if updated < wanted:
        return progressing(f"{updated} of {wanted} replicas are updated")
    if (old := _count(found, "replicas") - updated) > 0:
        return progressing(f"{old} old replicas have yet to end")
    if available < updated:
        return progressing(f"{available} of {updated} replicas are available")
    return HEALTHY


def stateful_set(found: Object) -> Health:
    """Check a StatefulSet; with a partition, by the replicas that it leaves to be updated."""
    if not is_seen(found) or not number(status_of(found), "observedGeneration"):
        return UNSEEN
    wanted, ready = _wanted(found), _count(found, "readyReplicas")
    if ready < wanted:
        return progressing(f"{ready} of {wanted} replicas are ready")
    if (strategy := mapping(spec_of(found), "updateStrategy")).get("type") == "OnDelete":
        return HEALTHY
    meant = wanted - (number(mapping(strategy, "rollingUpdate"), "partition") or 0)
    updated = _count(found, "updatedReplicas")
    if updated < meant:
        return progressing(f"{updated} of {meant} replicas are updated")
    return HEALTHY


def daemon_set(found: Object) -> Health:
    """Check a DaemonSet."""
    if not is_seen(found):
        return UNSEEN
    if mapping(spec_of(found), "updateStrategy").get("type") == "OnDelete":
        return HEALTHY
    wanted = _count(found, "desiredNumberScheduled")
    updated = _count(found, "updatedNumberScheduled")
    if updated < wanted:
        return progressing(f"{updated} of {wanted} pods are updated")
    available = _count(found, "numberAvailable")
    if available < wanted:
        return progressing(f"{available} of {wanted} pods are available")
    return HEALTHY


def replica_set(found: Object) -> Health:
    """Check a ReplicaSet."""
    if not is_seen(found):
        return UNSEEN
    for one in conditions(found):
        if one.get("type") == "ReplicaFailure" and one.get("status") == "True":
            return degraded(str(one.get("message") or "ReplicaFailure"))
    wanted, available = _wanted(found), _count(found, "availableReplicas")
    if available < wanted:
        return progressing(f"{available} of {wanted} replicas are available")
    return HEALTHY


def job(found: Object) -> Health:
    """Check a Job: healthy at its good end alone."""
    met = {str(one.get("type")): one for one in conditions(found) if one.get("status") == "True"}
    if failed := met.get("Failed"):
        return degraded(f"{failed.get('reason') or 'Failed'}: {failed.get('message') or ''}")
    if "Complete" in met:
        return HEALTHY
    if "Suspended" in met:
        return Health("Suspended", "it is suspended")
    return progressing("it has not ended yet")


def _wanted(found: Object) -> int:
    replicas = number(spec_of(found), "replicas")
    return 1 if replicas is None else replicas


def _count(found: Object, name: str) -> int:
    return number(status_of(found), name) or 0
