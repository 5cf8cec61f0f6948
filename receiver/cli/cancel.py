"""`postsync cancel`: cancels runs, plans or all plans of a sync."""

from __future__ import annotations

import sys

import click

from receiver.cli import many, options
from receiver.cli.client import Client
from receiver.cli.screen import confirm, write_answer
from receiver.core.plural import plural
from receiver.core.states import OPEN_PLANS, PlanState, RunState


@click.command()
@click.argument("numbers", metavar="[ID]...", nargs=-1)
@click.option("--held", is_flag=True, help="Only what is held for an approval.")
@many.filter_options
@options.reason
@options.yes
@options.output()
@options.server
def cancel(
    numbers: tuple[str, ...], *, held: bool, reason: str, yes: bool, client: Client, output: str,
    **filters: str,
) -> None:  # fmt: skip
    """Cancel ID: a run (r-...), a plan (p-...), or every plan of a sync (s-..., `last`).

    What is running is cut off as far as Postsync is concerned: its outcome is not written, and
    the other side may have acted. A cancelled plan starts no onFailure.

    Instead of ids, options choose open plans; with --held only what waits for an approval. Of
    many it shows how many there are, and asks.

    \b
      postsync cancel r-1m7y9gr9ez7egy539n --reason "the zone is gone"
      postsync cancel s-1m7y9gr9ez7egy539n
      postsync cancel --rule purge-shop-assets
      postsync cancel --held --since 2h
    """  # noqa: D301 click's \b keeps the lines
    chosen = held or any(filters.values())
    if bool(numbers) == bool(chosen):
        raise click.UsageError("name what is cancelled, or choose it with --rule, --held, --since")
    if len(numbers) == 1:
        _cancel_one(client, numbers[0], reason, yes=yes, output=output)
        return
    those = many.named(client, numbers, "r", "p", "s")
    if chosen:
        plans, runs = ([PlanState.HELD], [RunState.HELD]) if held else (OPEN_PLANS, [])
        those = many.choose(client, filters, plans, runs)
    done = many.act(
        client, "cancel", "cancelled", list(those), reason=reason, yes=yes, output=output
    )
    sys.exit(int(not done))


def _cancel_one(client: Client, number: str, reason: str, *, yes: bool, output: str) -> None:
    number = options.sync_of(client, number)
    path = options.api_path(number, "r", "p", "s")
    if not yes and not number.startswith("r-"):
        confirm(f"Cancel all that is open of {number}?")
    answer = client.send("POST", f"{path}/cancel", {"reason": reason} if reason else None)
    runs = f", {plural(len(answer['runs']), 'run')}" if "runs" in answer else ""
    write_answer(answer, output, f"cancelled {number}{runs}")
