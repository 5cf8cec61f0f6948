"""Writes one plan: what became of it, its runs and its lines of the trail."""

from __future__ import annotations

from collections.abc import Iterator

from receiver.cli.screen import Line
from receiver.cli.story_page import event_lines
from receiver.cli.summary import plan_lines
from receiver.ledger.queries.rows import PlanStory


def plan_page(plan: PlanStory, *, whole: bool = False) -> Iterator[Line]:
    """Yield the lines of a plan."""
    yield from plan_lines(plan)
    yield (f"of {plan['application']}, sync {plan['sync']}, by rule set {plan['ruleSet'][:12]}",)
    others = [sync for sync in plan["syncs"] if sync != plan["sync"]]
    if others:
        yield (f"it has collected {', '.join(others)}, too",)
    key = f", under the key {plan['concurrencyKey']!r}" if plan["concurrencyKey"] else ""
    ended = f", ended {plan['endedAt']}" if plan["endedAt"] else ""
    yield (f"made {plan['createdAt']}{ended}{key}",)
    yield ("",)
    yield from event_lines(plan["events"], whole=whole)
