"""Why a Job does not start: from its conditions, its pods and its controller's Events."""

from __future__ import annotations

from dataclasses import dataclass

from handlers.kubernetes.client import Api
from handlers.kubernetes.job.events import NO_POD, event_text, job_events, when
from handlers.kubernetes.job.result import pod_problem, pods_of
from receiver.kubernetes.objects import Object

COMING = frozenset({"FailureTarget", "SuccessCriteriaMet"})
"""Conditions of a Job whose end is decided and not reached yet."""
COUNTED = ("active", "succeeded", "failed", "terminating")
"""Where a Job's status counts pods."""


@dataclass(frozen=True, slots=True)
class StartProblem:
    """Why a Job is not under way.

    Attributes:
        why: for people; "" where it is not known.
        without_pod: whether Kubernetes cannot make a pod for it, or has not yet.
        unseen: why more is not known.
    """

    why: str = ""
    without_pod: bool = False
    unseen: str = ""


def start_problem(api: Api, job: Object) -> StartProblem | None:
    """Return why a Job does not start, None where a pod of it is ready, or one has just ended."""
    status = job.get("status") or {}
    conditions = [one for one in status.get("conditions") or [] if one.get("status") == "True"]
    if status.get("ready") or COMING & {one["type"] for one in conditions}:
        return None
    if conditions or (job.get("spec") or {}).get("suspend"):  # Suspended, or a controller's own
        return StartProblem(api.call.mask("; ".join(map(_words, conditions))))
    if status.get("active"):
        return StartProblem(api.call.mask(pod_problem(pods_of(api, job))))
    return _without_pod(api, job)


def _words(condition: Object) -> str:
    why = condition.get("message") or condition.get("reason") or ""
    return f"{condition['type']}: {why}".strip(": ")


def _without_pod(api: Api, job: Object) -> StartProblem | None:
    """Ask the controller why no pod is there, and the pods whether that is still so.

    Between a pod that failed and the next one the controller waits, up to minutes: that is no
    trouble, unless it has tried since and could not.
    """
    status = job.get("status") or {}
    ended = status.get("uncountedTerminatedPods") or {}
    had_some = any(status.get(name) for name in COUNTED) or any(ended.values())
    events = job_events(api, job["metadata"])
    refused = events.newest(NO_POD)
    if refused is not None and had_some and when(refused) < _newest(pods_of(api, job)):
        refused = None
    if refused is None and had_some:
        return None
    why = api.call.mask(event_text(refused)) if refused is not None else ""
    return StartProblem(why, without_pod=True, unseen=events.unseen)


def _newest(pods: list[Object]) -> str:
    """Return when the newest of the pods was made."""
    return max((str(pod["metadata"].get("creationTimestamp") or "") for pod in pods), default="")
