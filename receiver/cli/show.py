"""`postsync show`: shows one sync, its trail and what its runs wait for; or a notification."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote

import click

from receiver.cli import options
from receiver.cli.client import Client
from receiver.cli.delivery import show_delivery
from receiver.cli.screen import Part, Styled, plural, write_json, write_line
from receiver.cli.trail import event_line, target_lines
from receiver.core.states import UNPLANNED_SYNCS, PlanState, SyncState, Trait
from receiver.ledger.queries.rows import PlanWithRuns, SyncDetails

if TYPE_CHECKING:  # it needs much of the server, which a command need not load
    from receiver.web.responses import SyncStory

GOES_ON = PlanState.where(Trait.OPEN, without=Trait.APPROVABLE)
"""States of a plan that will change by itself."""

WAITS_FOR: Mapping[str, str] = {
    PlanState.GATED: "healthy resources",
    PlanState.COLLECTING: "Applications",
}
"""What a plan without runs waits for, where its reason says more."""

MOST_RULES = 20
"""Rules that did not match, with a line each; more are in the JSON."""


@click.command()
@click.argument("sync", metavar="[ID]", default="last")
@click.option("--wait", type=float, default=0, help="Wait so many seconds for its plans to end.")
@options.output()
@options.server
def show(sync: str, *, wait: float, client: Client, output: str) -> None:
    """Tell the story of a sync: what came, what matched and why, what was done.

    ID is that of a sync, or of one of its plans or runs; `last` is the newest sync. Of a delivery
    (d-...), it is the notification as it was stored; what its names call a credential is masked.

    \b
      postsync show last --wait 10
      postsync show s-1m7y9gr9ez7egy539n --output json
      postsync show d-1m7y9gr9ez7egy539n
    """  # noqa: D301 click's \b keeps the lines
    if sync.startswith("d-"):
        show_delivery(client, sync, output)
        return
    story = _wait_until_ended(client, _sync_of(client, sync), time.monotonic() + wait)
    if output == "json":
        write_json(story)
        return
    for line in _lines(story):
        write_line(*line)


def _sync_of(client: Client, number: str) -> str:
    """Return the sync of a run or a plan; anything else is taken for a sync's id.

    Raises:
        click.UsageError: it names an Application.
    """
    if "/" in number:
        raise click.UsageError(
            f"{number!r} is no id; `postsync syncs --application NAMESPACE/NAME` lists those of an "
            "Application"
        )
    kinds = {"r-": "runs", "p-": "plans"}.get(number[:2])
    if kinds is None:
        return number
    return str(client.get(f"/v1/{kinds}/{quote(number, safe='')}")["sync"])


def _wait_until_ended(client: Client, sync: str, until: float) -> SyncStory:
    while True:
        story: SyncStory = client.get(f"/v1/syncs/{quote(sync, safe='')}")
        waits = story["state"] in UNPLANNED_SYNCS or any(
            plan["state"] in GOES_ON for plan in story["plans"]
        )
        if not waits or time.monotonic() >= until:
            return story
        time.sleep(0.2)


def _lines(story: SyncStory) -> Iterator[tuple[Part, ...]]:
    yield from ((part,) for part in _head(story))
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
    if story["state"] == SyncState.PLANNED and not story["plans"]:
        yield from ((line,) for line in _unmatched(story))


def _head(story: SyncDetails) -> Iterator[Part]:
    """Yield what came; a channel of one's own may tell of no operation at all."""
    what = story["phase"] or f"(channel {story['channel']}, no operation)"
    yield Styled(f"{story['application']} {what}", bold=True)
    finished = f", finished {story['finishedAt']}" if story["finishedAt"] else ""
    revision = f", revision {story['revision']}" if story["revision"] else ""
    yield f"sync {story['id']}{finished}{revision}"


def _unmatched(story: SyncStory) -> Iterator[str]:
    """Yield why no rule matched, a line for each, with the first resource that it asked about."""
    rows = story["explanation"] or []
    if rows:
        yield ""
    for row in rows[:MOST_RULES]:
        first = next(iter(row["resources"]), None)
        about = f": {first['resource']}: {first['reason']}" if first else f": {row['reason']}"
        left = len(row["resources"]) - 1 + sum(row["more"].values())
        more = f" (and {plural(left, 'resource')} more)" if first and left else ""
        yield f"{row['rule']} did not match{about}{more}"
    if len(rows) > MOST_RULES:
        yield f"and {plural(len(rows) - MOST_RULES, 'rule')} more: see --output json"


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
