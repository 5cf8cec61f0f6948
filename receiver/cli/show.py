"""`postsync show`: what came of a sync, then its story; or one plan, run or notification."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import quote

import click

from receiver.cli import complete, options
from receiver.cli.client import Client
from receiver.cli.delivery import show_delivery
from receiver.cli.screen import write_json, write_line
from receiver.cli.story_choice import Choice
from receiver.cli.story_page import story_lines
from receiver.core.states import UNPLANNED_SYNCS, PlanState, Trait

if TYPE_CHECKING:  # it needs much of the server, which a command need not load
    from receiver.web.responses import SyncStory

GOES_ON = PlanState.where(Trait.OPEN, without=Trait.APPROVABLE)
"""States of a plan that will change by itself."""


@click.command()
@click.argument("sync", metavar="[ID]", default="last")
@click.option("--rule", default="", help="Only of this rule.", shell_complete=complete.rules)
@click.option("--run", default="", help="Only of this run.")
@click.option("--failed", is_flag=True, help="Only what failed.")
@click.option("--whole", is_flag=True, help="Fold nothing: also lines that are equal.")
@click.option("--wait", type=float, default=0, help="Wait so many seconds for its plans to end.")
@options.output()
@options.server
def show(
    sync: str, *, rule: str, run: str, failed: bool, whole: bool, wait: float, client: Client,
    output: str,
) -> None:  # fmt: skip
    """Tell what came of a sync: a line for each rule and action, then what happened, in order.

    ID is that of a sync, or of one of its plans or runs; `last` is the newest sync. Of a delivery
    (d-...), it is the notification as it was stored; what its names call a credential is masked.

    \b
      postsync show last --wait 10
      postsync show last --failed
      postsync show s-1m7y9gr9ez7egy539n --rule purge-shop-assets --whole
    """  # noqa: D301 click's \b keeps the lines
    if sync.startswith("d-"):
        show_delivery(client, sync, output)
        return
    wanted = _sync_of(client, sync)
    story = _wait_until_ended(client, wanted, rule, time.monotonic() + wait)
    chosen = Choice(rule, run, failed).of(story)
    _check_found(chosen, rule, run)
    if output == "json":
        write_json(chosen)
        return
    for line in story_lines(chosen, about=rule, whole=whole):
        write_line(*line)


def _check_found(chosen: SyncStory, rule: str, run: str) -> None:
    """Check that the sync has what was asked for by name.

    Raises:
        click.BadParameter: it has not.
    """
    if run and not chosen["plans"]:
        raise click.BadParameter(f"sync {chosen['id']} has no run {run}", param_hint="--run")
    if rule and not (chosen["plans"] or chosen["explanation"]):
        why = chosen["explanationNote"] or f"nothing is known of rule {rule}"
        raise click.BadParameter(why, param_hint="--rule")


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


def _wait_until_ended(client: Client, sync: str, rule: str, until: float) -> SyncStory:
    while True:
        story: SyncStory = client.get(f"/v1/syncs/{quote(sync, safe='')}", {"rule": rule})
        waits = story["state"] in UNPLANNED_SYNCS or any(
            plan["state"] in GOES_ON for plan in story["plans"]
        )
        if not waits or time.monotonic() >= until:
            return story
        time.sleep(0.2)
