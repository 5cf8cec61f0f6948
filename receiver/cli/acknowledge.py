"""`postsync acknowledge`: lets failed runs be."""

from __future__ import annotations

import sys

import click

from receiver.cli import many, options
from receiver.cli.client import Client
from receiver.core.states import RunState


@click.command()
@click.argument("runs", nargs=-1)
@options.run_filters
@click.option("--all", "every", is_flag=True, help="All runs that failed.")
@options.reason
@options.yes
@options.output()
@options.server
def acknowledge(
    runs: tuple[str, ...], *, every: bool, reason: str, yes: bool, client: Client, output: str,
    **filters: str,
) -> None:  # fmt: skip
    """Let RUNS that failed be: nobody will retry them, and nobody need look at them any more.

    They count no longer as failed, in `status`, in metrics and for `retry --all`. Their plan stays
    failed, and each can still be retried by its id. Of many it shows how many, and asks.

    Each is the id of a run, or of a plan or a sync (`last`: the newest) for what failed of it.

    \b
      postsync acknowledge r-1m7y9gr9ez7egy539n --reason "purged by hand"
      postsync acknowledge last
      postsync acknowledge --rule purge-shop-assets --since 2h
    """  # noqa: D301 click's \b keeps the lines
    chosen = every or any(filters.values())
    if bool(runs) == bool(chosen):
        raise click.UsageError("name runs, or choose them with --rule, --since ... or --all")
    named = {one.id: one for run in runs for one in many.failed_runs(client, run)}
    those = [*(named.values() or many.choose(client, filters, [], [RunState.FAILED]))]
    done = many.act(
        client, "acknowledge", "acknowledged", those, reason=reason,
        yes=yes or len(named) == 1, output=output,
    )  # fmt: skip
    sys.exit(int(not done))
