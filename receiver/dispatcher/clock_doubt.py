"""Whether the clocks of Argo CD and of the API server agree well enough for a verdict.

An object's times are the API server's, an operation's are Argo CD's. How far apart the two clocks
are is written nowhere, but the Application bounds it: Argo CD's controller writes its own time into
the status, and the API server notes when that was written. The write comes after the time that it
writes, by as long as a comparison takes, or longer where it writes no new time. So an API server
that is behind is found out, and one that is ahead cannot be ahead by more than this difference.
"""

from __future__ import annotations

from datetime import datetime

from receiver.argocd.objects import ApplicationState, LiveObject

BEHIND = 2
"""Seconds from which the clocks differ: both times are cut to whole ones."""

AHEAD = 60
"""Seconds by which the API server may be ahead without doubt of a verdict. Argo CD waits as long
for manifests by default (`--repo-server-timeout-seconds`), and notifies after it has them: both
bounds may be as wide although the clocks agree."""

OWN_CLUSTER = frozenset({"https://kubernetes.default.svc", "in-cluster"})
"""How Applications name the cluster that they are in."""


def find_behind(state: ApplicationState, found: LiveObject) -> str:
    """Return that the API server's clock is behind Argo CD's, "" unless that is certain.

    It is known of the API server that has the Application, for objects that it has, too.
    """
    if found.read_at is None and state.destination.rstrip("/") not in OWN_CLUSTER:
        return ""
    if state.stamped_at is None or state.written_at is None:
        return ""
    behind = int((state.stamped_at - state.written_at).total_seconds())
    if behind < BEHIND:
        return ""
    return f"the clocks of Argo CD and the API server differ by {behind} s or more"


def find_ahead(
    state: ApplicationState, found: LiveObject, finished: datetime, waited: float
) -> str:
    """Return that the API server's clock may be ahead of Argo CD's, "" if it cannot be by much.

    What was changed before the operation may seem to have been changed by it then.

    Args:
        state: the Application.
        found: an object that its API server has told, with its clock.
        finished: the operation's end, by Argo CD's clock.
        waited: the seconds since its notification came, so at least so many since its end.
    """
    if found.read_at is None or state.stamped_at is None or state.written_at is None:
        return ""
    by_write = (state.written_at - state.stamped_at).total_seconds()
    by_reading = (found.read_at - finished).total_seconds() - waited
    ahead = int(min(by_write, by_reading))
    if ahead < AHEAD:
        return ""
    return f"the API server's clock may be up to {ahead} s ahead of Argo CD's"
