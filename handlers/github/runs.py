"""Finds the run that an earlier attempt started by its title: GitHub has no idempotency key.

A workflow whose `run-name` has the key shows it as the title of its run:
https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax#run-name
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode

from handlers.github.access import GitHub, request
from receiver.contract import Call, TemporaryError, object_of

NEWEST = 100
"""Runs that are searched: a page of the list, newest first."""

LISTED_AFTER = 10.0
"""Seconds that a repeated attempt waits at least. GitHub names no time within which a run is in
the list; it is one of seconds."""


def started_before(params: GitHub, call: Call, path: str, event: str) -> dict[str, Any] | None:
    """Return the run whose title has this run's idempotency key, if there is one.

    Args:
        params: which repository, and as whom.
        call: the attempt; for the first one of a run nothing is searched.
        path: of the list of runs, below the repository.
        event: what started it.
    """
    if call.attempt == 1:
        return None
    return find(params, call, path, event)


def find(params: GitHub, call: Call, path: str, event: str) -> dict[str, Any] | None:
    """Search the list; see `started_before`."""
    query = urlencode({"event": event, "per_page": NEWEST})
    data = object_of(request(params, call, "GET", f"{path}?{query}"))
    whole = re.compile(rf"(?<![\w-]){re.escape(call.idempotency_key)}(?![\w-])")
    for run in data.get("workflow_runs") or []:
        if whole.search(str(run.get("display_title"))):
            return {"run": run.get("id"), "url": run.get("html_url")}
    return None


def delayed(error: TemporaryError) -> TemporaryError:
    """Return the error of a start with an unclear end, delayed until the run would be listed."""
    return TemporaryError(
        error.message,
        delay=max(error.delay or 0.0, LISTED_AFTER),
        limited=error.limited,
        hint=error.hint,
    )
