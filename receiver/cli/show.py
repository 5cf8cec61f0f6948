"""`postsync show`: what came of a sync, then its story; or one plan, run or notification."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click

from receiver.cli import complete, options
from receiver.cli.client import Client
from receiver.cli.delivery_page import delivery_lines
from receiver.cli.plan_page import plan_page
from receiver.cli.run_page import run_lines
from receiver.cli.screen import Line, write_json, write_line
from receiver.cli.story_choice import Choice
from receiver.cli.story_page import story_lines
from receiver.cli.whole_story import fetch_story
from receiver.core.states import UNPLANNED_SYNCS, PlanState, RunState, SyncState, Trait

if TYPE_CHECKING:  # it needs much of the server, which a command need not load
    from receiver.web.responses import SyncStory

GOES_ON = PlanState.where(Trait.OPEN, without=Trait.APPROVABLE)
RUNS_ON = RunState.where(Trait.OPEN, without=Trait.APPROVABLE)
"""States of a plan and of a run that will change by themselves."""

RUNS = ",".join(
    f"runs.{key}" for key in (
        "id", "section", "action", "handler", "wave", "state", "reason", "waitsFor", "attempts",
    )
)  # fmt: skip
PLAN = (
    "id,rule,state,reason,waitsFor,mode,application,sync,syncs,matched,ruleSet,createdAt,endedAt,"
    f"concurrencyKey,{RUNS},events"
)
SYNC = (
    "id,application,channel,phase,state,reason,revision,finishedAt,resources,changed,explanation,"
    "explanationNote,events,"
) + ",".join(
    f"plans.{key}" for key in (
        "id", "rule", "state", "reason", "waitsFor", "mode", "syncs", "matched", "endedAt",
        *RUNS.split(","),
    )
)  # fmt: skip
"""The keys of a plan and of a sync that are told."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked for.

    Attributes:
        whole: fold nothing.
        json: all keys are shown.
        until: when waiting ends, in seconds of the monotonic clock.
    """

    client: Client
    choice: Choice
    whole: bool
    json: bool
    until: float

    def wait(self, path: str, fields: str, goes_on: Callable[[Any], bool]) -> None:
        """Wait until it does not go on any more, or there is no more time."""
        while time.monotonic() < self.until and goes_on(fetch_story(self.client, path, fields)):
            time.sleep(0.2)


@click.command()
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option("--rule", default="", help="Only of this rule.", shell_complete=complete.rules)
@click.option("--run", default="", help="Only of this run.")
@click.option("--failed", is_flag=True, help="Only what failed.")
@click.option("--whole", is_flag=True, help="Fold nothing: also lines that are equal.")
@click.option("--wait", type=float, default=0, help="Wait so many seconds for the end.")
@options.output()
@options.server
def show(
    ids: tuple[str, ...], *, rule: str, run: str, failed: bool, whole: bool, wait: float,
    client: Client, output: str,
) -> None:  # fmt: skip
    """Tell what came of a sync: a line for each rule and action, then what happened, in order.

    ID is that of a sync; `last` is the newest. Of a plan (p-...) or a run (r-...) it tells of that
    one: parameters, attempts, output. Of a delivery (d-...), it is the notification as it was
    stored; what its names call a credential is masked. Several are told one after the other.

    \b
      postsync show last --wait 10
      postsync show last --failed
      postsync show r-1m7y9gr9ez7egy539n
    """  # noqa: D301 click's \b keeps the lines
    until = time.monotonic() + wait
    ask = Ask(client, Choice(rule, run, failed), whole, output == "json", until)
    told = [_told(ask, one) for one in ids or ("last",)]
    if output == "json":
        write_json(told[0][0] if len(told) == 1 else [answer for answer, _ in told])
        return
    for number, (_, lines) in enumerate(told):
        if number:
            write_line()
        for line in lines:
            write_line(*line)


def _told(ask: Ask, number: str) -> tuple[Any, Iterator[Line]]:
    """Return the API's answer about an id, and its lines.

    Raises:
        click.UsageError: it names an Application, or of what is no sync a part is asked for.
    """
    if "/" in number:
        raise click.UsageError(
            f"{number!r} is no id; `postsync syncs --application NAMESPACE/NAME` lists those of an "
            "Application"
        )
    # Which one is the last is asked once: another may come meanwhile.
    path, kind = quote(options.sync_of(ask.client, number), safe=""), number[:2]
    if kind in {"d-", "r-", "p-"} and ask.choice != Choice():
        raise click.UsageError(f"--rule, --run and --failed are for a sync; {number} is told whole")
    if kind == "d-":
        delivery = ask.client.get(f"/v1/deliveries/{path}")
        return delivery, delivery_lines(delivery)
    if kind == "r-":
        ask.wait(f"/v1/runs/{path}", "state", lambda run: run["state"] in RUNS_ON)
        run = fetch_story(ask.client, f"/v1/runs/{path}")
        return run, run_lines(run, whole=ask.whole)
    if kind == "p-":
        ask.wait(f"/v1/plans/{path}", "state", lambda plan: plan["state"] in GOES_ON)
        plan = fetch_story(ask.client, f"/v1/plans/{path}", "" if ask.json else PLAN)
        return plan, plan_page(plan, whole=ask.whole)
    ask.wait(f"/v1/syncs/{path}", "state,plans.id,plans.state", _goes_on)
    fields, query = "" if ask.json else SYNC, {"rule": ask.choice.rule}
    story = fetch_story(ask.client, f"/v1/syncs/{path}", fields, query)
    _check_found(story, ask.choice)
    chosen = ask.choice.of(story)
    if ask.choice.failed and not chosen["plans"] and story["state"] != SyncState.FAILED:
        return chosen, iter([(f"nothing of {_about(story, ask.choice)} has failed",)])
    return chosen, story_lines(chosen, about=ask.choice.rule, whole=ask.whole)


def _goes_on(story: SyncStory) -> bool:
    return story["state"] in UNPLANNED_SYNCS or any(
        plan["state"] in GOES_ON for plan in story["plans"]
    )


def _check_found(story: SyncStory, choice: Choice) -> None:
    """Check that the sync has what was asked for by name, whether it failed or not.

    Raises:
        click.BadParameter: it has not.
    """
    plans = Choice(choice.rule, choice.run).of(story)["plans"]
    if choice.run and not plans:
        raise click.BadParameter(f"sync {story['id']} has no run {choice.run}", param_hint="--run")
    if choice.rule and not (plans or story["explanation"]):
        why = story["explanationNote"] or f"nothing is known of rule {choice.rule}"
        raise click.BadParameter(why, param_hint="--rule")


def _about(story: SyncStory, choice: Choice) -> str:
    """Return what of a sync is asked for, in words."""
    run = f"run {choice.run} in " if choice.run else ""
    rule = f"rule {choice.rule} in " if choice.rule else ""
    return f"{run}{rule}sync {story['id']} of {story['application']}"
