"""The result of a Job that is gone, from its controller's Events, which outlive it."""

from __future__ import annotations

from collections.abc import Mapping

from handlers.kubernetes.client import Api
from handlers.kubernetes.job.events import COMPLETED, FAILED, job_events
from handlers.kubernetes.job.result import JobResult, make_result
from handlers.kubernetes.objects import Kind
from handlers.kubernetes.run_objects import gone_error
from receiver.kubernetes.objects import Object

WHY = "somebody has deleted it, or its ttlSecondsAfterFinished passed meanwhile"
RETRY = "a retry runs it anew, so look first at what it has done"


def deleted_job_result(api: Api, kind: Kind, state: Mapping[str, str]) -> JobResult:
    """Return the result of a Job that does not exist any more.

    Args:
        api: where it was.
        kind: that of a Job.
        state: its ``namespace``, ``name`` and ``uid``.

    Raises:
        PermanentError: nothing says how it ended; started again, it might do its work twice.
    """
    events = job_events(api, state)
    event = events.newest(COMPLETED, *FAILED)
    if event is None:
        raise gone_error(kind, state, "; ".join(filter(None, (WHY, RETRY, events.unseen))))
    return _ending(api, state, event)


def _ending(api: Api, state: Mapping[str, str], event: Object) -> JobResult:
    succeeded = event["reason"] == COMPLETED
    message = api.call.mask(str(event.get("message") or ""))
    api.call.say(f"Job {state['namespace']}/{state['name']} is gone; by its Events: {message}")
    return make_result(
        {"namespace": state["namespace"], "name": state["name"], "succeeded": succeeded,
         "condition": str(event["reason"]), "message": message}
    )  # fmt: skip
