"""One attempt of `kubernetes.job`: creates, adopts, polls or cleans up the Job."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from handlers.kubernetes.client import Api
from handlers.kubernetes.job.deleted import deleted_job_result
from handlers.kubernetes.job.manifest import job_manifest
from handlers.kubernetes.job.parameters import KubernetesJob
from handlers.kubernetes.job.result import job_result
from handlers.kubernetes.job.start_problem import start_problem
from handlers.kubernetes.job.watch import JobWatch, told_job
from handlers.kubernetes.objects import Kind
from handlers.kubernetes.run_labels import SERIES
from handlers.kubernetes.run_objects import create_once, find_created, is_ours, run_state
from handlers.kubernetes.tenancy import cluster_for
from receiver.contract import Call, Json, Outcome, Pending, PermanentError, Succeeded
from receiver.kubernetes.api_errors import Refused
from receiver.kubernetes.objects import Object

JOB = Kind("batch/v1", "Job", "jobs", namespaced=True)
SOON = 1.0
"""Seconds until the next attempt while something is about to change."""
LONGEST_UNREAD = 60.0
"""Seconds after which it is read although its watch has told nothing new."""
UNTIL_ASKED = 30.0
"""Seconds for which it is watched beyond its next attempt, which may have to wait its turn."""
WITHOUT_POD = 5.0
"""Seconds at most until the next attempt while it has no pod, to report the reason soon."""


def run(params: KubernetesJob, call: Call) -> Outcome:
    """Take the run's next step; the state says which."""
    api = Api.of(params.cluster, call)
    state = call.state if isinstance(call.state, dict) else {}
    if "ended" in state:
        return _clean_up(params, api, state)
    if "name" in state:
        return _poll(params, api, state)
    if "BeforeHookCreation" in params.delete_policy and _clear(params, api):
        return Pending({"clearing": True}, SOON)
    return _start(params, api)


def _clear(params: KubernetesJob, api: Api) -> bool:
    """Delete the earlier Jobs of this action and target; return whether one is still there."""
    series = params.labels.get(SERIES, "")
    if not series:
        return False
    found = api.request(
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
    names = run_state(job)
    if not params.wait:
        return Succeeded(names)
    read = api.call.now.isoformat()
    return Pending(names | {"trouble": "", "read": read}, min(params.every, SOON))


def _poll(params: KubernetesJob, api: Api, state: dict[str, Any]) -> Outcome:
    told = _told(params, api, state)
    if told is not None:
        return _wait(params, api, told, state)
    job = find_created(api, JOB, state)
    state = state | {"read": api.call.now.isoformat()}
    if job is None:
        result = deleted_job_result(api, JOB, state)
        return _end(result.output, "" if result.succeeded else result.why)
    end = job_result(api, job, params.log_lines, state["trouble"])
    if end is None:
        return _wait(params, api, job, state)
    log = end.output["log"]
    if isinstance(log, list) and log:
        api.call.say("\n".join(["the last lines of its log:", *map(str, log)]))
    why = "" if end.succeeded else end.why
    policy = "HookSucceeded" if end.succeeded else "HookFailed"
    if policy in params.delete_policy:
        return _ended(state, end.output, why, params.every)
    return _end(end.output, why)


def _told(params: KubernetesJob, api: Api, state: dict[str, Any]) -> Object | None:
    """Return the Job as its watch tells it; None where it is to be read.

    A watch may have died in silence: so what it tells is not believed for long, nor where a Job
    without a pod may be given up.
    """
    watch = JobWatch(cluster_for(params.cluster, api.call.tenant), state["namespace"])
    told = told_job(watch, api.call, state["uid"], params.every + UNTIL_ASKED)
    if "read" not in state or "withoutPod" in state:
        return None
    passed = (api.call.now - datetime.fromisoformat(state["read"])).total_seconds()
    return told if 0 <= passed < LONGEST_UNREAD else None


def _wait(params: KubernetesJob, api: Api, job: Object, state: dict[str, Any]) -> Outcome:
    """Report a new reason why it does not start, and ask again."""
    kept = {name: state[name] for name in ("namespace", "name", "uid", "trouble", "read")}
    found = start_problem(api, job)
    if found is None:
        ready = (job.get("status") or {}).get("ready")
        return Pending(kept | ({"trouble": ""} if ready else {}), params.every)
    # Its first pod may not be created yet: a missing right is reported only after a while.
    why = found.why or (found.unseen if "withoutPod" in state else "")
    if why and why.partition(":")[0] != state["trouble"].partition(":")[0]:
        api.call.say(f"its pod does not start: {why}")
    kept["trouble"] = why or state["trouble"]
    if found.without_pod:
        since = state.get("withoutPod") or api.call.now.isoformat()
        return _without_pod(params, api, kept | {"withoutPod": since}, why)
    return Pending(kept, params.every, why)


def _without_pod(params: KubernetesJob, api: Api, state: dict[str, Any], why: str) -> Pending:
    """Ask again, or give the Job up when it had no pod for too long."""
    passed = api.call.now - datetime.fromisoformat(state["withoutPod"])
    if passed.total_seconds() < params.pod_deadline:
        return Pending(state, min(params.every, WITHOUT_POD), why)
    text = f"Job {state['namespace']}/{state['name']} had no pod for {params.pod_deadline:g} s"
    text += f": {why}" if why else ""
    return _ended(state, {}, f"{text}; it is deleted, so that it does not begin later", SOON)


def _ended(state: dict[str, Any], output: Json, why: str, every: float) -> Pending:
    """Store the result before the Job is deleted: after a crash, it could not be read again."""
    result: Json = {"output": output, "why": why}
    return Pending(state | {"ended": result}, min(every, SOON))


def _clean_up(params: KubernetesJob, api: Api, state: dict[str, Any]) -> Outcome:
    """Delete it; if we may not, that does not change the result."""
    try:
        api.delete(JOB.path(params.namespace, state["name"]), uid=state["uid"])
    except Refused as error:
        api.call.say(f"it cannot be deleted: {error}")
    return _end(state["ended"]["output"], state["ended"]["why"])


def _end(output: Json, why: str) -> Outcome:
    if why:
        raise PermanentError(why)
    return Succeeded(output)
