"""One attempt of `kubernetes.job`: create it or adopt it, look at it, clean up after it."""

from __future__ import annotations

from typing import Any

from handlers.kubernetes.client import Api, Object
from handlers.kubernetes.job.ending import ending, pods_of, trouble_of
from handlers.kubernetes.job.manifest import job_manifest
from handlers.kubernetes.job.parameters import KubernetesJob
from handlers.kubernetes.made import create_once, is_ours, made, still_there
from handlers.kubernetes.objects import Kind
from handlers.kubernetes.origin import SERIES
from receiver.contract import Call, Json, Outcome, Pending, PermanentError, Succeeded

JOB = Kind("batch/v1", "Job", "jobs", namespaced=True)
SOON = 1.0
"""Seconds until we look again where something is on its way there."""
GONE = "somebody has deleted it, or its ttlSecondsAfterFinished passed meanwhile"


def run(params: KubernetesJob, call: Call) -> Outcome:
    """Take the run's next step; the state says which."""
    api = Api.of(params.cluster, call)
    state = call.state if isinstance(call.state, dict) else {}
    if "ended" in state:
        return _clean_up(params, api, state)
    if "name" in state:
        return _look(params, api, state)
    if "BeforeHookCreation" in params.delete_policy and _clear(params, api):
        return Pending({"clearing": True}, SOON)
    return _start(params, api)


def _clear(params: KubernetesJob, api: Api) -> bool:
    """Delete the earlier Jobs of this action and target; return whether one is still there."""
    series = params.labels.get(SERIES, "")
    if not series:
        return False
    found = api.ask(
        "GET", JOB.path(params.namespace), query={"labelSelector": f"{SERIES}={series}"}
    )
    earlier = [one for one in found.get("items") or [] if not is_ours(api, one)]
    for one in earlier:
        metadata = one["metadata"]
        if "deletionTimestamp" not in metadata:
            api.delete(JOB.path(params.namespace, metadata["name"]), uid=metadata["uid"])
            api.call.say(
                f"Job {metadata['namespace']}/{metadata['name']} of an earlier run deleted"
            )
    return bool(earlier)


def _start(params: KubernetesJob, api: Api) -> Outcome:
    job = create_once(api, JOB, job_manifest(params, api))
    names = made(job)
    if not params.wait:
        return Succeeded(names)
    return Pending(names | {"trouble": ""}, min(params.every, SOON))


def _look(params: KubernetesJob, api: Api, state: dict[str, Any]) -> Outcome:
    job = still_there(api, JOB, state, GONE)
    ended = ending(api, job, params.log_lines, state["trouble"])
    if ended is None:
        return Pending(state | {"trouble": _trouble(api, job, state["trouble"])}, params.every)
    log = ended.output["log"]
    if isinstance(log, list) and log:
        api.call.say("\n".join(["the last lines of its log:", *map(str, log)]))
    policy = "HookSucceeded" if ended.succeeded else "HookFailed"
    if policy in params.delete_policy:
        # Its end goes into the ledger before it is deleted: after a crash, it could not be seen.
        told: Json = {"output": ended.output, "why": "" if ended.succeeded else ended.why}
        return Pending(state | {"ended": told}, min(params.every, SOON))
    return _end(ended.output, "" if ended.succeeded else ended.why)


def _trouble(api: Api, job: Object, known: str) -> str:
    """Return why its pods do not start, and tell it once."""
    status = job.get("status") or {}
    if not status.get("active") or status.get("ready"):
        return known
    found = api.call.mask(trouble_of(pods_of(api, job)))
    if found and found.partition(":")[0] != known.partition(":")[0]:
        api.call.say(f"its pod does not start: {found}")
    return found or known


def _clean_up(params: KubernetesJob, api: Api, state: dict[str, Any]) -> Outcome:
    api.delete(JOB.path(params.namespace, state["name"]), uid=state["uid"])
    return _end(state["ended"]["output"], state["ended"]["why"])


def _end(output: Json, why: str) -> Outcome:
    if why:
        raise PermanentError(why)
    return Succeeded(output)
