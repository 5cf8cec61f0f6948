"""`postsync show`: shows one sync, its trail and what its runs wait for."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import quote

import click

from receiver.cli import options
from receiver.cli.client import Client
from receiver.cli.screen import Part, Styled, plural, write_json, write_line
from receiver.cli.trail import event_line, target_lines
from receiver.core.states import UNPLANNED_SYNCS, PlanState, Trait
from receiver.ledger.queries.rows import PlanWithRuns, SyncDetails

GOES_ON = PlanState.where(Trait.OPEN, without=Trait.APPROVABLE)
"""States of a plan that will change by itself."""

WAITS_FOR: Mapping[str, str] = {
    PlanState.GATED: "healthy resources",
    PlanState.COLLECTING: "Applications",
}
"""What a plan without runs waits for, where its reason says more."""


@click.command()
@click.argument("sync", metavar="[ID]", default="last")
@click.option("--wait", type=float, default=0, help="Wait so many seconds for its plans to end.")
@options.output()
@options.server
def show(sync: str, *, wait: float, client: Client, output: str) -> None:
    """Tell the story of a sync: what came, what matched and why, what was done.

    ID is that of a sync, or of one of its plans or runs; `last` is the newest sync.

    \b
      postsync show last --wait 10
      postsync show s-1m7y9gr9ez7egy539n --output json
    """  # noqa: D301 click's \b keeps the lines
    story = _wait_until_ended(client, _sync_of(client, sync), time.monotonic() + wait)
    if output == "json":
        write_json(story)
        return
    for line in _lines(story):
        write_line(*line)


def _sync_of(client: Client, number: str) -> str:
    """Return the sync of a run or a plan; anything else is taken for a sync's id."""
    kinds = {"r-": "runs", "p-": "plans"}.get(number[:2])
    if kinds is None:
        return number
    return str(client.get(f"/v1/{kinds}/{quote(number, safe='')}")["sync"])


def _wait_until_ended(client: Client, sync: str, until: float) -> SyncDetails:
    while True:
        story: SyncDetails = client.get(f"/v1/syncs/{quote(sync, safe='')}")
        waits = story["state"] in UNPLANNED_SYNCS or any(
            plan["state"] in GOES_ON for plan in story["plans"]
        )
        if not waits or time.monotonic() >= until:
            return story
        time.sleep(0.2)


def _lines(story: SyncDetails) -> Iterator[tuple[Part, ...]]:
    yield (Styled(f"{story['application']} {story['phase']}", bold=True),)
    yield (f"sync {story['id']}, finished {story['finishedAt']}, revision {story['revision']}",)
    changed = "" if story["changed"] is None else f", {story['changed']} changed"
    yield (f"{story['resources']} resources{changed}",)
    if story["reason"]:
        text = "" if story["state"] in UNPLANNED_SYNCS else f"{story['state']}: "
        yield text, story["reason"]
    yield ("",)
    for event in story["events"]:
        yield event_line(event, f"{str(event['at']).split('T')[1]:14}")
        yield from ((line,) for line in target_lines(event))
    yield from ((line,) for line in _waits(story["plans"]))


def _plan_waits(plans: Sequence[PlanWithRuns]) -> Iterator[str]:
    """Yield what plans wait for that have collected syncs: they have runs when they start."""
    for plan in plans:
        what = WAITS_FOR.get(plan["state"])
        if what and plan["reason"] and not plan["runs"]:
            yield f"{plan['rule']} waits for {what}, until {plan['dueAt']}: {plan['reason']}"


def _waits(plans: Sequence[PlanWithRuns]) -> Iterator[str]:
    """Yield what runs wait for, those that wait for the same in one line."""
    waits = Counter(
        (plan["rule"], run["action"], run["waitsFor"])
        for plan in plans
        for run in plan["runs"]
        if run["waitsFor"]
    )
    told = [*_plan_waits(plans)]
    if waits or told:
        yield ""
    yield from told
    for (rule, action, why), number in waits.items():
        wait = "waits" if number == 1 else "wait"
        yield f"{rule}: {plural(number, 'run')} of {action} {wait} for {why}"
