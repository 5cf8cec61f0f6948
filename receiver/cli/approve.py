"""`postsync approve`: approves held plans and runs."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import click

from receiver.cli import many, options
from receiver.cli.client import Client
from receiver.cli.screen import confirm, write_answer, write_line
from receiver.cli.whole_story import fetch_story
from receiver.core.plural import plural
from receiver.core.states import PlanState, RunState
from receiver.ledger.queries.rows import PlanWithRuns

PREVIEWED = "rule,application,state,reason,runs.wave,runs.action,runs.handler,runs.state"


@click.command()
@click.argument("numbers", metavar="[ID]...", nargs=-1)
@click.option("--held", is_flag=True, help="All that is held, as far as the other options say.")
@many.filter_options
@options.reason
@options.yes
@options.output()
@options.server
def approve(
    numbers: tuple[str, ...], *, held: bool, reason: str, yes: bool, client: Client, output: str,
    **filters: str,
) -> None:  # fmt: skip
    """Let ID go on: a plan (p-...) held by its rule's `limits`, or a run (r-...) by `suspend`.

    A plan that waits for its resources to be healthy (`waitFor`) starts as they are, one that
    collects syncs (`debounce`, `throttle`) with those that have come.

    Of a plan it shows first how many runs that lets go, wave by wave; on a terminal it asks,
    elsewhere it goes ahead. Of several ids, or what is held and chosen by options, it shows how
    many there are, and asks.

    \b
      postsync plans --state held        plans that wait
      postsync runs --state held         runs that wait
      postsync approve p-1m7y9gr9ez7egy539n --reason "the bootstrap is meant"
      postsync approve --held --rule purge-shop-assets
    """  # noqa: D301 click's \b keeps the lines
    chosen = held or any(filters.values())
    if bool(numbers) == bool(chosen):
        raise click.UsageError("name what is approved, or choose it with --held, --rule, --since")
    if len(numbers) == 1:
        _approve_one(client, numbers[0], reason, yes=yes, output=output)
        return
    those = many.named(client, numbers, "p", "r")
    if chosen:
        those = many.choose(client, filters, [PlanState.HELD], [RunState.HELD])
    done = many.act(
        client, "approve", "approved", list(those), reason=reason, yes=yes, output=output
    )
    sys.exit(int(not done))


def _approve_one(client: Client, number: str, reason: str, *, yes: bool, output: str) -> None:
    path = options.api_path(number, "p", "r")
    if number.startswith("p-"):
        for line in _preview(fetch_story(client, path, PREVIEWED)):
            write_line(line, err=True)
        if not yes and sys.stdin.isatty():
            confirm("Let them go?")
    answer = client.send("POST", f"{path}/approve", {"reason": reason} if reason else None)
    write_answer(answer, output, f"approved {number}{_let_go(answer)}")


def _let_go(answer: Mapping[str, Any]) -> str:
    """Return how many runs a plan lets go; one that collected syncs makes them when it starts."""
    if "runs" not in answer:
        return ""
    return f", {plural(len(answer['runs']), 'run')}" if answer["runs"] else "; it starts now"


def _preview(plan: PlanWithRuns) -> Iterator[str]:
    """Yield what an approval releases: all of a plan that waits, or the held runs of another."""
    waits = plan["state"] in {PlanState.COLLECTING, PlanState.HELD, PlanState.GATED}
    state = RunState.WAITING if waits else RunState.HELD
    runs = [run for run in plan["runs"] if run["state"] == state]
    collects = plan["state"] == PlanState.COLLECTING  # its runs are made when it starts
    if not (waits or plan["state"] == PlanState.ACTIVE) or not (runs or collects):
        return
    why = "collects further syncs" if collects else "held by suspend"
    yield f"{plan['rule']} on {plan['application']}: {plan['reason'] or why}"
    steps = Counter((run["wave"], run["action"], run["handler"]) for run in runs)
    for (wave, action, handler), number in sorted(steps.items()):
        yield f"  wave {wave}: {plural(number, 'run')} of {action} ({handler})"
