"""Pods: those that serve are healthy when they are ready, others when they have ended well."""

from __future__ import annotations

from receiver.kubernetes.health.result import (
    HEALTHY,
    Health,
    conditions,
    degraded,
    mapping,
    mappings,
    progressing,
    spec_of,
    status_of,
)
from receiver.kubernetes.objects import Object


def pod(found: Object) -> Health:
    """Check a Pod."""
    serves = spec_of(found).get("restartPolicy", "Always") == "Always"
    if serves and (trouble := _trouble(found)):
        return degraded(trouble)
    phase = status_of(found).get("phase")
    if phase == "Succeeded":
        return HEALTHY
    if phase == "Failed":
        return degraded(_failure(found))
    if phase == "Running" and serves:
        return _running(found)
    return progressing(f"its phase is {phase or 'not known yet'}")


def _running(found: Object) -> Health:
    ready = [one.get("status") for one in conditions(found) if one.get("type") == "Ready"]
    if ready == ["True"]:
        return HEALTHY
    for one in mappings(status_of(found), "containerStatuses"):
        if mapping(one, "lastState").get("terminated"):
            return degraded(f"{one.get('name')} has ended, and is not ready again")
    return progressing("it is not ready yet")


def _trouble(found: Object) -> str:
    """Return why a container does not start, "" while it may just need its time.

    Those of `initContainers` may: many of them end until what they need is there.
    """
    for one in mappings(status_of(found), "containerStatuses"):
        waiting = mapping(mapping(one, "state"), "waiting")
        reason = str(waiting.get("reason") or "")
        if reason.startswith("Err") or reason.endswith(("Error", "BackOff")):
            return f"{one.get('name')}: {reason}: {waiting.get('message') or ''}".strip(": ")
    return ""


def _containers(status: Object, *keys: str) -> list[Object]:
    return [one for key in keys for one in mappings(status, key)]


def _failure(found: Object) -> str:
    status = status_of(found)
    if status.get("message") or status.get("reason"):
        return f"{status.get('reason') or 'Failed'}: {status.get('message') or ''}".strip(": ")
    for one in _containers(status, "initContainerStatuses", "containerStatuses"):
        ended = mapping(mapping(one, "state"), "terminated")
        if ended.get("exitCode"):
            why = ended.get("message") or ended.get("reason") or "Error"
            return f"{one.get('name')} ended with exit code {ended['exitCode']}: {why}"
    return "it has failed"
