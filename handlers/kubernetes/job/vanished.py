"""How a Job ended that is gone: its controller has said it in Events, which outlive it."""

from __future__ import annotations

from collections.abc import Mapping

from handlers.kubernetes.client import Api, Object
from handlers.kubernetes.job.controller import COMPLETED, FAILED, said_of
from handlers.kubernetes.job.ending import Ending, ended
from handlers.kubernetes.made import gone
from handlers.kubernetes.objects import Kind

WHY = "somebody has deleted it, or its ttlSecondsAfterFinished passed meanwhile"
RETRY = "a retry runs it anew, so look first at what it has done"


def vanished(api: Api, kind: Kind, state: Mapping[str, str]) -> Ending:
    """Return how a Job ended that is not there any more.

    Args:
        api: where it was.
        kind: that of a Job.
        state: its ``namespace``, ``name`` and ``uid``.

    Raises:
        PermanentError: nothing says how it ended; started again, it might do its work twice.
    """
    said = said_of(api, state)
    told = said.newest(COMPLETED, *FAILED)
    if told is None:
        raise gone(kind, state, "; ".join(filter(None, (WHY, RETRY, said.unseen))))
    return _ending(api, state, told)


def _ending(api: Api, state: Mapping[str, str], told: Object) -> Ending:
    succeeded = told["reason"] == COMPLETED
    message = api.call.mask(str(told.get("message") or ""))
    api.call.say(f"Job {state['namespace']}/{state['name']} is gone; by its Events: {message}")
    return ended(
        {"namespace": state["namespace"], "name": state["name"], "succeeded": succeeded,
         "condition": str(told["reason"]), "message": message}
    )  # fmt: skip
