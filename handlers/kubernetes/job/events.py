"""The Events that Kubernetes' job controller writes about a Job.

It writes them on the Job (k8s.io/kubernetes, pkg/controller/job), they outlive it, and an API
server keeps them for an hour by default (`--event-ttl`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from handlers.kubernetes.client import Api
from receiver.kubernetes.api_errors import Refused
from receiver.kubernetes.objects import Object
from receiver.kubernetes.paths import path_of

NO_POD = "FailedCreate"
"""The reason of the Event of a pod that could not be made."""
COMPLETED = "Completed"
"""The reason of the Event of a Job that ended well."""
FAILED = frozenset({
    "BackoffLimitExceeded", "DeadlineExceeded", "FailedIndexes", "MaxFailedIndexesExceeded",
    "PodFailurePolicy",
})  # fmt: skip
"""Those of one that did not: the constants ``JobReason...`` of k8s.io/api, batch/v1/types.go."""


@dataclass(frozen=True, slots=True)
class JobEvents:
    """The controller's Events about one Job.

    Attributes:
        events: the newest last; those of pods that were made are not among them.
        unseen: why they could not be read; "" if they could.
    """

    events: tuple[Object, ...]
    unseen: str = ""

    def newest(self, *reasons: str) -> Object | None:
        """Return the newest Event with one of these reasons."""
        return next((one for one in reversed(self.events) if one.get("reason") in reasons), None)


def job_events(api: Api, job: Mapping[str, str]) -> JobEvents:
    """Read the Events of a Job.

    Args:
        api: where it is, or was.
        job: its ``namespace`` and ``uid``.
    """
    wanted = f"involvedObject.uid={job['uid']},reason!=SuccessfulCreate"
    path = path_of("v1", "events", job["namespace"])
    try:
        listed = api.request("GET", path, query={"fieldSelector": wanted, "limit": "100"})
    except Refused as error:
        return JobEvents((), f"Postsync may not read Events: {error.hint or error.message}")
    items: list[Object] = listed.get("items") or []
    return JobEvents(tuple(sorted(items, key=when)))


def when(event: Object) -> str:
    """Return when it was written last, in seconds, as Kubernetes writes a time."""
    at = event.get("lastTimestamp") or event["metadata"].get("creationTimestamp")
    return str(at or "")


def event_text(event: Object) -> str:
    """Return an Event's reason and message."""
    return f"{event.get('reason')}: {event.get('message') or ''}".strip(": ")
