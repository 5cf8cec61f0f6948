"""Refuses operations that have not finished, and times that cannot be true.

A clock that is wrong must not order the syncs.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from receiver.core.errors import PayloadError
from receiver.core.model import Sync, rfc3339
from receiver.notification.shapes import FINISHED, Found, format_keys, misplaced_phases

STATE = ".app.status.operationState"
"""Where a template finds the operation."""

TRIGGER = (
    "let the trigger fire when app.status?.operationState?.phase in "
    "['Succeeded','Failed','Error'], or send other events to a channel of their own, "
    "/v1/notifications/CHANNEL"
)


def check_finished(found: Found, tree: Any) -> None:
    """Refuse an operation that has not finished, or without the time when it did.

    Raises:
        PayloadError: ``not_finished``; its hint names what the template lacks.
    """
    state = found.operation
    phase = (state and state.phase) or ""
    if not phase:
        raise _not_finished(
            "its phase is missing", _missing_hint("phase", found, misplaced_phases(tree))
        )
    if phase not in FINISHED:
        raise _not_finished(f"its phase is {phase[:80]!r}, none of {', '.join(FINISHED)}", TRIGGER)
    if found.shape != "resources" and not (state and state.finished_at):
        raise _not_finished("its finishedAt is missing", _missing_hint("finishedAt", found, []))


def _missing_hint(field: str, found: Found, others: list[str]) -> str:
    """Return what to write in the template so that the field is there."""
    add = f'"{field}": {{{{toJson {STATE}.{field}}}}}'
    where = " in the body or the query" if found.shape == "resources" else " in operationState"
    if others:
        keys = format_keys(others)
        return f"{keys} holds one, but it is looked for as `{field}`{where}: write {add}"
    return f"add {add}{where}; `postsync argocd-config` prints a template that has it"


def _not_finished(why: str, hint: str) -> PayloadError:
    return PayloadError("not_finished", f"the operation has not finished: {why}", hint=hint)


EARLIEST = datetime(2014, 6, 6, tzinfo=UTC)
"""The first public commit of Kubernetes: nothing was synced before that."""

AHEAD = timedelta(days=1)
"""How far the sender's clock may be ahead of ours. Clocks of clusters differ by seconds, one set in
the wrong time zone by up to 14 hours; what is further ahead is no time of an operation."""


def check_times(sync: Sync, now: datetime) -> None:
    """Refuse times that cannot be true; ``now`` is by our own clock.

    A sync from the future would be the newest of its Application for years. Where our own clock is
    plainly wrong, as on a machine that has not synchronised it yet, nothing is refused for it.

    Raises:
        PayloadError: ``wrong_time``.
    """
    for name, moment in (("startedAt", sync.started_at), ("finishedAt", sync.finished_at)):
        if moment and (why := _cannot_be_true(moment, now)):
            path = f"operationState.{name}"
            raise PayloadError(
                "wrong_time",
                f"{path}: {rfc3339(moment)} {why}",
                hint="one of the two clocks is wrong: compare `date -u` on both sides",
                fields={path: why},
            )


def _cannot_be_true(moment: datetime, now: datetime) -> str:
    """Return why a time cannot be true, "" if it can."""
    if moment < EARLIEST:
        return f"is before {EARLIEST:%Y-%m-%d}, when there was no Argo CD"
    if moment > now + AHEAD and now > EARLIEST:
        return f"is more than a day ahead of our clock ({rfc3339(now)})"
    return ""
