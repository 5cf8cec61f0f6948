"""Phrases that several commands write."""

from __future__ import annotations

from receiver.core.validation import first_line
from receiver.ledger.queries.rows import Pause


def why(reason: str) -> str:
    """Return a reason as the end of a line, "" if there is none."""
    return f": {first_line(reason)}" if reason else ""


def paused(pause: Pause) -> str:
    """Say what is paused, by whom, since when and why."""
    what = f"{pause['scope']} {pause['name']}".strip()
    return f"{what} by {pause['by']} since {pause['at']}{why(pause['reason'])}"
