"""Writes the story of a sync: what came of it at a glance, then what happened, in order."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from receiver.cli.fold import folded, named
from receiver.cli.screen import Line, Part, Styled
from receiver.cli.summary import plan_lines, urgency
from receiver.cli.trail import HIDDEN, event_line
from receiver.core.plural import plural
from receiver.core.states import UNPLANNED_SYNCS, SyncState
from receiver.ledger.queries.rows import Event, SyncDetails

if TYPE_CHECKING:  # it needs much of the server, which a command need not load
    from receiver.inspection.explain import RuleFinding
    from receiver.web.responses import SyncStory

MOST_RULES = 20
"""Rules that did not match, with a line each; more are in the JSON."""

OWN = frozenset({"target", "seconds", "nextAt", "parameters"})
"""What two lines may differ in that are told as one, beside their times and ids."""


def story_lines(story: SyncStory, *, about: str = "", whole: bool = False) -> Iterator[Line]:
    """Yield the lines of a story.

    Args:
        story: the sync's, or what was chosen of it.
        about: the only rule that counts, "" for all.
        whole: fold nothing.
    """
    yield from ((part,) for part in _head(story))
    changed = "" if story["changed"] is None else f", {story['changed']} changed"
    yield (f"{story['resources']} resources{changed}",)
    if story["reason"]:
        text = "" if story["state"] in UNPLANNED_SYNCS else f"{story['state']}: "
        yield text, story["reason"]
    summary = [*_summary(story, about)]
    yield from ([("",), *summary] if summary else [])
    yield ("",)
    yield from event_lines(story["events"], whole=whole)


def event_lines(events: Sequence[Event], *, whole: bool = False) -> Iterator[Line]:
    """Yield the lines of events, each with its time of day; those that are equal as one."""
    for event, more in folded(events, _kind, whole=whole):
        yield event_line(event, f"{_clock(event):14}")
        yield from ((line,) for line in _target_lines(event, whole=whole))
        if more:
            yield (f"{'':26}and {len(more):,} more like it, the last at {_clock(more[-1])}",)


def _clock(event: Event) -> str:
    return str(event["at"]).split("T")[1]


def _kind(event: Event) -> Hashable:
    """Return what makes two lines equal; a line with resources of its own is equal to none."""
    if "targets" in event:
        return event["seq"]
    told = {key: value for key, value in event.items() if key not in HIDDEN | OWN}
    return event["event"], event.get("attempt"), repr(told)


def _target_lines(event: Event, *, whole: bool) -> Iterator[str]:
    """Yield a line for each resource that a rule matched, with its reason; equal ones as one."""
    targets: Sequence[Any] = event.get("targets", ())  # type: ignore[assignment]  # a key of some events alone
    for target, more in folded(targets, _reason, whole=whole):
        yield f"{'':26}{target['resource']}: {target['reason']}"
        if more:
            yield f"{'':26}and {plural(len(more), 'resource')} more like it"


def _reason(told: Any) -> str:
    """Return a resource's reason without its name."""
    name = re.escape(told["resource"].rpartition("/")[2])
    return re.sub(rf"(?<![\w.-]){name}(?![\w.-])", "*", told["reason"])


def _head(story: SyncDetails) -> Iterator[Part]:
    """Yield what came; a channel of one's own may tell of no operation at all."""
    what = story["phase"] or f"(channel {story['channel']}, no operation)"
    yield Styled(f"{story['application']} {what}", bold=True)
    finished = f", finished {story['finishedAt']}" if story["finishedAt"] else ""
    revision = f", revision {story['revision']}" if story["revision"] else ""
    yield f"sync {story['id']}{finished}{revision}"


def _summary(story: SyncStory, about: str) -> Iterator[Line]:
    """Yield what came of each rule: its plans; of those that have none, their names or why."""
    for plan in sorted(story["plans"], key=urgency):
        yield from plan_lines(plan)
    if about:
        yield from _of_rule(story["explanation"] or [])
        return
    rows = [row for row in story["explanation"] or [] if row["verdict"] != "matched"]
    if story["state"] != SyncState.PLANNED or not rows:
        return
    if not story["plans"]:
        yield from _unmatched(rows)
    else:
        names = named([row["rule"] for row in rows])
        yield (f"did not match: {names}",)


def _of_rule(rows: Sequence[RuleFinding]) -> Iterator[Line]:
    """Yield of one rule what it left out, and why; equal reasons as one."""
    for row in rows:
        left_out = [one for one in row["resources"] if one["verdict"] != "matched"]
        if row["verdict"] == "matched":
            yield from [("it left out:",)] if left_out else []
        else:
            yield (f"{row['rule']} did not match{'' if left_out else ': ' + row['reason']}",)
        for one, more in folded(left_out, _reason):
            yield (f"  {one['resource']}: {one['reason']}",)
            if more:
                yield (f"  and {plural(len(more), 'resource')} more like it",)
        if row["more"]:
            yield (f"  and {plural(sum(row['more'].values()), 'resource')} more",)


def _unmatched(rows: Sequence[RuleFinding]) -> Iterator[Line]:
    """Yield why rules did not match, a line for each, with the first resource that was asked."""
    for row in rows[:MOST_RULES]:
        first = next(iter(row["resources"]), None)
        about = f": {first['resource']}: {first['reason']}" if first else f": {row['reason']}"
        left = len(row["resources"]) - 1 + sum(row["more"].values())
        more = f" (and {plural(left, 'resource')} more)" if first and left else ""
        yield (f"{row['rule']} did not match{about}{more}",)
    if len(rows) > MOST_RULES:
        yield (f"and {plural(len(rows) - MOST_RULES, 'rule')} more: see --output json",)
