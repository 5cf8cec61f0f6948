"""Writes an event of the trail as a line for people."""

from __future__ import annotations

import json
import re
from typing import Any

from receiver.cli.screen import Part, Styled
from receiver.ledger.queries.rows import Event

GOOD = ("accepted", "succeeded", "matched", "approved", "lifted")
BAD = ("failed", "refused", "error", "lost", "cancelled")
HIDDEN = frozenset({"seq", "at", "event", "delivery", "sync", "plan", "run", "attempt", "targets"})
"""Keys left out of the text: ids, and what has a place or lines of its own."""


def event_line(event: Event, clock: str, hidden: frozenset[str] = HIDDEN) -> tuple[Part, ...]:
    """Return the line of an event; ``clock`` is its time, padded to a column."""
    name = str(event["event"])
    colour = "green" if name.endswith(GOOD) else "red" if name.endswith(BAD) else None
    about = [f"{key}={_text(value)}" for key, value in event.items() if key not in hidden]
    number = [f"attempt={event['attempt']}"] if "attempt" in event else []
    return clock, Styled(f"{name:24}", colour), " ".join(number + about)


def target_lines(event: Event) -> list[str]:
    """Return a line for each resource that a rule matched, with its reason."""
    targets: Any = event.get("targets", ())  # a key of some events alone
    return [f"{'':26}{target['resource']}: {target['reason']}" for target in targets]


def _text(value: Any) -> str:
    """Write a value as one word, in quotes if it is not: a hook's text may have lines."""
    if not isinstance(value, str):
        return json.dumps(value)
    return json.dumps(value, ensure_ascii=False) if re.search(r"[\s\"]", value) else value
