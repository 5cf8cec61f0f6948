"""How the page writes what the API tells: times, states and their colours, and others' words."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from flask import url_for
from markupsafe import Markup, escape

from receiver.core.plural import plural
from receiver.core.states import PlanState, RunState, SyncState
from receiver.core.terminal_text import escape_controls

TONES: Mapping[str, str] = {
    RunState.SUCCEEDED: "good", RunState.FAILED: "bad", SyncState.FAILED: "bad",
    RunState.HELD: "ask", SyncState.NEW: "wait", SyncState.VERIFYING: "wait",
    PlanState.WAITING: "wait", PlanState.COLLECTING: "wait", PlanState.GATED: "wait",
    PlanState.ACTIVE: "wait", RunState.DUE: "wait", RunState.RUNNING: "wait",
    RunState.PENDING: "wait", "matched": "good", "temporary": "retry",
    "permanent": "bad",
}  # fmt: skip
"""What a state means to who looks: good, bad, a person is asked, or it goes on by itself. The
others are over, and neither good nor bad."""

MARKS = {"good": "✓", "bad": "✕", "ask": "?", "wait": "…", "retry": "↻", "": "·"}
"""The same without colours."""

IDS = re.compile(r"\b[sprd]-[0-9a-z]{18}\b")

KINDS = {"s": "page.sync", "p": "page.plan", "r": "page.run", "d": "page.delivery"}
"""The pages of what an id names, by its letter."""

LAYOUT = re.compile(r"[^\n\t]+")
"""What stands between line breaks and tabs."""

TWO_UNITS = 10
"""From so many of a unit on, the smaller one says nothing more."""

UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def tone(state: str) -> str:
    """Return what a state means, "" if it is just over."""
    return TONES.get(state, "")


def mark(state: str) -> str:
    """Return a sign for what a state means."""
    return MARKS[tone(state)]


def clock(moment: str | None) -> str:
    """Write a time of the API shortly, in UTC: the day, and the time to the second."""
    return "" if not moment else datetime.fromisoformat(moment).strftime("%d %b %H:%M:%S")


def ago(moment: str | None, now: datetime | None = None) -> str:
    """Write how long ago a time of the API was, or in how long it will be."""
    if not moment:
        return ""
    seconds = ((now or datetime.now(UTC)) - datetime.fromisoformat(moment)).total_seconds()
    text = span(abs(seconds))
    return f"{text} ago" if seconds >= 0 else f"in {text}"


def span(seconds: float) -> str:
    """Write a duration in its largest unit, and the next one where the first is below ten."""
    if 0 < seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    for (size, unit), (smaller, name) in pairwise((*UNITS, (1, ""))):
        if seconds >= size:
            whole, rest = divmod(int(seconds), size)
            more = rest // smaller if whole < TWO_UNITS else 0
            return f"{whole} {unit}" + (f" {more} {name}" if more else "")
    return "0 s"


def plain(value: Any) -> Any:
    """Write others' words: what steers or turns a line is escaped, line breaks and tabs stay.

    Every value that a template shows goes through this, and what is markup of ours stays as it is.
    """
    if not isinstance(value, str) or isinstance(value, Markup) or value.isprintable():
        return "" if value is None else value
    return LAYOUT.sub(lambda found: escape_controls(found[0]), value)


def linked(text: str) -> Markup:
    """Write others' words with a link at each id in them."""
    return Markup(IDS.sub(_link, str(escape(plain(text)))))  # noqa: S704 escaped, and an id is plain


def _link(found: re.Match[str]) -> str:
    address = url_for(KINDS[found[0][0]], number=found[0])
    return f'<a class="id" href="{address}">{found[0]}</a>'


def why(run: Mapping[str, Any]) -> str:
    """Say what a run waits for, and what its last attempt came to; or why it ended as it did."""
    waits, reason = run["waitsFor"], run["reason"]
    both = waits and reason and run["attempts"]
    return f"{waits}, after: {reason}" if both else waits or reason


FILTERS: Mapping[str, Callable[..., Any]] = {
    "tone": tone, "mark": mark, "clock": clock, "ago": ago, "span": span, "linked": linked,
    "plural": plural, "why": why,
}  # fmt: skip
