"""Whether an operation has finished, and where its notification fails to say so."""

from __future__ import annotations

from typing import Any

from receiver.core.errors import PayloadError
from receiver.notification.phases import FINISHED, misplaced, say
from receiver.notification.shapes import Found

STATE = ".app.status.operationState"
"""Where a template finds the operation."""

TRIGGER = (
    "let the trigger fire when app.status?.operationState?.phase in "
    "['Succeeded','Failed','Error'], or send other events to a channel of their own, "
    "/v1/notifications/CHANNEL"
)


def check_finished(found: Found, tree: Any) -> None:
    """Refuse what has not finished, or does not say when.

    Raises:
        PayloadError: ``not_finished``; its hint names what the template lacks.
    """
    state = found.operation
    phase = (state and state.phase) or ""
    if not phase:
        raise _not_finished("its phase is missing", _way_to("phase", found, misplaced(tree)))
    if phase not in FINISHED:
        raise _not_finished(f"its phase is {phase[:80]!r}, none of {', '.join(FINISHED)}", TRIGGER)
    if found.shape != "resources" and not (state and state.finished_at):
        raise _not_finished("its finishedAt is missing", _way_to("finishedAt", found, []))


def _way_to(field: str, found: Found, others: list[str]) -> str:
    """Say what to write in the template so that a field is there."""
    add = f'"{field}": {{{{toJson {STATE}.{field}}}}}'
    where = " in the body or the query" if found.shape == "resources" else " in operationState"
    if others:
        return f"{say(others)} holds one, but it is looked for as `{field}`{where}: write {add}"
    return f"add {add}{where}; `postsync argocd-config` prints a template that has it"


def _not_finished(why: str, hint: str) -> PayloadError:
    return PayloadError("not_finished", f"the operation has not finished: {why}", hint=hint)
