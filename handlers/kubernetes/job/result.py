"""The result of a Job: its condition, the container that failed, the last lines of the log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from handlers.kubernetes.client import Api
from receiver.contract import AttemptError, Json
from receiver.kubernetes.api_errors import Refused
from receiver.kubernetes.objects import Object
from receiver.kubernetes.paths import path_of

TERMINAL = ("Complete", "Failed")
"""SuccessCriteriaMet and FailureTarget come before the end: pods may still run."""
READ_BYTES = 1 << 20
"""Of the log's last lines; the limit cuts off their end, so it is far above what is kept."""
LOG_LENGTH = 16_384
"""Characters of them that are kept: they go into the ledger."""


@dataclass(frozen=True, slots=True)
class JobResult:
    """A finished Job.

    Attributes:
        succeeded: whether it is Complete.
        why: for people, where it failed.
        output: for later actions.
    """

    succeeded: bool
    why: str
    output: dict[str, Json]


def job_result(api: Api, job: Object, log_lines: int, trouble: str) -> JobResult | None:
    """Return how a Job ended, None while it has not.

    Args:
        api: where it is.
        job: as it is now.
        log_lines: how many lines of its log to read.
        trouble: why its pods did not start, as seen by an earlier attempt: they may be gone now.
    """
    last = terminal_condition(job)
    if last is None:
        return None
    pod = _relevant_pod(pods_of(api, job))
    container, state = _relevant_container(pod)
    exited = state.get("terminated") or {}
    lines = _log(api, pod, container, log_lines) if pod and log_lines else []
    return make_result({
        "namespace": job["metadata"]["namespace"],
        "name": job["metadata"]["name"],
        "succeeded": last["type"] == "Complete",
        "condition": str(last.get("reason") or last["type"]),
        "message": api.call.mask(str(last.get("message") or "")),
        "container": container,
        "exitCode": exited.get("exitCode"),
        "reason": api.call.mask(str(exited.get("reason") or trouble)),
        "seconds": _seconds(job, last),
        "log": [*lines],
    })  # fmt: skip


def terminal_condition(job: Object) -> Object | None:
    """Return the condition with which a Job has ended, None while it has not."""
    met = [one for one in _conditions(job) if one.get("status") == "True"]
    return next((one for one in met if one.get("type") in TERMINAL), None)


def _conditions(found: Object) -> list[Object]:
    return (found.get("status") or {}).get("conditions") or []


UNKNOWN: Mapping[str, Json] = {
    "container": "", "exitCode": None, "reason": "", "seconds": None, "log": [],
}  # fmt: skip
"""What is known only from the pods of a Job."""


def make_result(known: Mapping[str, Json]) -> JobResult:
    """Return the result with this output, and defaults for what is unknown of its pods."""
    output = {**UNKNOWN, **known}
    return JobResult(bool(output["succeeded"]), _why(output), output)


def pods_of(api: Api, job: Object) -> list[Object]:
    """Return the pods of this Job; none, and a line on the trail, where we may not list them."""
    metadata = job["metadata"]
    label = f"batch.kubernetes.io/controller-uid={metadata['uid']}"
    path = path_of("v1", "pods", metadata["namespace"])
    try:
        listed = api.request("GET", path, query={"labelSelector": label, "limit": "50"})
    except Refused as error:
        api.call.say(f"its pods cannot be seen: {error}")
        return []
    items: list[Object] = listed.get("items") or []
    return items


def pod_problem(pods: list[Object]) -> str:
    """Return why a pod does not start, for example ``ImagePullBackOff``; "" if none says."""
    troubles = (_not_starting(pod) or _unschedulable(pod) for pod in pods)
    return next(filter(None, troubles), "")


def _not_starting(pod: Object) -> str:
    for one in _statuses(pod):
        waiting = (one.get("state") or {}).get("waiting") or {}
        reason = str(waiting.get("reason") or "")
        if reason not in {"", "ContainerCreating", "PodInitializing"}:
            return f"{reason}: {waiting.get('message') or one.get('image') or ''}".strip(": ")
    return ""


def _unschedulable(pod: Object) -> str:
    for one in _conditions(pod):
        if one.get("type") == "PodScheduled" and one.get("reason") == "Unschedulable":
            return f"Unschedulable: {one.get('message') or ''}"
    return ""


def _relevant_pod(pods: list[Object]) -> Object | None:
    """Return the newest pod that failed, else the newest."""

    def rank(pod: Object) -> tuple[bool, str]:
        phase = (pod.get("status") or {}).get("phase")
        return phase == "Failed", str(pod["metadata"].get("creationTimestamp") or "")

    return max(pods, key=rank, default=None)


def _statuses(pod: Object) -> list[Object]:
    status = pod.get("status") or {}
    return [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]


def _relevant_container(pod: Object | None) -> tuple[str, Object]:
    """Return the first container that failed, else the first of the pod, with its state."""
    statuses = _statuses(pod) if pod else []
    for one in statuses:
        state = one.get("state") or {}
        if (state.get("terminated") or {}).get("exitCode"):
            return one["name"], state
    main = ((pod or {}).get("status") or {}).get("containerStatuses") or []
    return (str(main[0]["name"]), main[0].get("state") or {}) if main else ("", {})


def _log(api: Api, pod: Object, container: str, lines: int) -> list[str]:
    """Return the last lines; a log that cannot be read does not change how the Job ended."""
    metadata = pod["metadata"]
    query = {"tailLines": str(lines), "limitBytes": str(READ_BYTES)}
    path = path_of("v1", "pods", metadata["namespace"], metadata["name"], "log")
    try:
        text = api.text(path, query=query | ({"container": container} if container else {}))
    except AttemptError as error:
        api.call.say(f"its log cannot be read: {error}")
        return []
    found = text.splitlines()
    if len(text.encode()) >= READ_BYTES:  # cut inside a line, perhaps inside a secret
        found = found[:-1]
    return _last(found)


def _last(lines: list[str]) -> list[str]:
    """Return the last lines that fit, at least the end of the very last one."""
    kept: list[str] = []
    room = LOG_LENGTH
    for line in reversed(lines):
        if len(line) > room:
            break
        kept.insert(0, line)
        room -= len(line)
    return kept or [line[-LOG_LENGTH:] for line in lines[-1:]]


def _seconds(job: Object, last: dict[str, Any]) -> float | None:
    status = job.get("status") or {}
    end = status.get("completionTime") or last.get("lastTransitionTime")
    try:
        began = datetime.fromisoformat(str(status.get("startTime")))
        return (datetime.fromisoformat(str(end)) - began).total_seconds()
    except ValueError:
        return None


def _why(output: dict[str, Json]) -> str:
    text = f"Job {output['namespace']}/{output['name']} failed: {output['condition']}"
    if output["message"]:
        text += f" ({output['message']})"
    if output["exitCode"] is not None:
        text += f"; {output['container']} ended with exit code {output['exitCode']}"
    if output["reason"]:
        text += f", {output['reason']}"
    log = output["log"]
    return text + (f"; its last line: {log[-1]}" if isinstance(log, list) and log else "")
