"""One attempt of `kubernetes.job`: create it or adopt it, look at it, clean up after it."""

from __future__ import annotations

from typing import Any

from handlers.kubernetes.client import Api, Object, path_of
from handlers.kubernetes.job.ending import ending, pods_of, trouble_of
from handlers.kubernetes.job.manifest import job_manifest
from handlers.kubernetes.job.origin import KEY, SERIES
from handlers.kubernetes.job.parameters import KubernetesJob
from handlers.kubernetes.refusal import Refused
from receiver.contract import Call, Json, Outcome, Pending, PermanentError, Succeeded

SOON = 1.0
"""Seconds until we look again where something is on its way there."""


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


def jobs(params: KubernetesJob, name: str = "") -> str:
    """Return the path of the Jobs, or of one of them."""
    return path_of("batch/v1", "jobs", params.namespace, name)


def _clear(params: KubernetesJob, api: Api) -> bool:
    """Delete the earlier Jobs of this action and target; return whether one is still there."""
    series = params.labels.get(SERIES, "")
    if not series:
        return False
    found = api.ask("GET", jobs(params), query={"labelSelector": f"{SERIES}={series}"})
    earlier = [one for one in found.get("items") or [] if not _is_ours(api, one)]
    for one in earlier:
        metadata = one["metadata"]
        if "deletionTimestamp" not in metadata:
            api.delete(jobs(params, metadata["name"]), uid=metadata["uid"])
            api.call.say(
                f"Job {metadata['namespace']}/{metadata['name']} of an earlier run deleted"
            )
    return bool(earlier)


def _start(params: KubernetesJob, api: Api) -> Outcome:
    manifest = job_manifest(params, api)
    try:
        job = api.create(jobs(params), manifest)
    except Refused as error:
        if error.reason != "AlreadyExists":
            raise
        job = _adopted(params, api, manifest["metadata"]["name"])
    metadata = job["metadata"]
    names: dict[str, Json] = {name: metadata[name] for name in ("namespace", "name", "uid")}
    if not params.wait:
        return Succeeded(names)
    return Pending(names | {"trouble": ""}, min(params.every, SOON))


def _adopted(params: KubernetesJob, api: Api, name: str) -> Object:
    """Return the Job of that name if an earlier attempt of this run has made it."""
    job = api.find(jobs(params, name))
    if job is None or "deletionTimestamp" in job["metadata"] or not _is_ours(api, job):
        raise PermanentError(
            f"there is a Job {params.namespace}/{name} already, and it is not of this run",
            hint="delete it, or give the manifest another name; then retry the run",
        )
    return job


def _is_ours(api: Api, job: Object) -> bool:
    annotations = job["metadata"].get("annotations") or {}
    return bool(annotations.get(KEY) == api.call.idempotency_key)


def _look(params: KubernetesJob, api: Api, state: dict[str, Any]) -> Outcome:
    job = api.find(jobs(params, state["name"]))
    if job is None or job["metadata"]["uid"] != state["uid"]:
        raise PermanentError(
            f"Job {params.namespace}/{state['name']} is gone before its end was seen",
            hint="somebody has deleted it, or its ttlSecondsAfterFinished passed meanwhile",
        )
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
    api.delete(jobs(params, state["name"]), uid=state["uid"])
    return _end(state["ended"]["output"], state["ended"]["why"])


def _end(output: Json, why: str) -> Outcome:
    if why:
        raise PermanentError(why)
    return Succeeded(output)
