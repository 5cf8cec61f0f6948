"""`postsync retry`: repeats runs that failed."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import NoReturn, TypeAlias

import click

from receiver.cli import many, options
from receiver.cli.client import Client
from receiver.cli.screen import confirm, write_answer
from receiver.core.errors import ServerError
from receiver.core.model import Json
from receiver.core.plural import plural
from receiver.core.states import RunState

Body: TypeAlias = dict[str, Json]

AT_ONCE = 1000
"""Runs that the server retries with one request."""


@click.command()
@click.argument("runs", nargs=-1)
@options.run_filters
@click.option("--now", is_flag=True, help="Try RUNS at once that wait for their next attempt.")
@click.option("--all", "every", is_flag=True, help="All runs that failed.")
@options.any_rules
@options.yes
@options.output()
@options.server
def retry(
    runs: tuple[str, ...], *, now: bool, every: bool, any_rules: bool, yes: bool, client: Client,
    output: str, **filters: str,
) -> None:  # fmt: skip
    """Repeat RUNS that failed, with the parameters that are stored.

    Each is the id of a run, or of a plan or a sync (`last`: the newest) for what failed of it.

    What a failure had skipped is opened again. Name runs, or choose those that failed by
    options; of many it shows how many, and asks. While the rule files have mistakes, it is
    refused, unless --with-rules-in-force is given: who mends a rule will want a replay. With
    --now, RUNS that wait for a later time are tried, or asked about, at once.

    \b
      postsync retry r-1m7y9gr9ez7egy539n
      postsync retry --now r-1m7y9gr9ez7egy539n
      postsync retry last
      postsync retry --rule purge-shop-assets --since 2h
    """  # noqa: D301 click's \b keeps the lines
    chosen = {name: value for name, value in filters.items() if value}
    _check_choice(named=bool(runs), chosen=bool(chosen or every), now=now)
    if now:
        _hurry(client, runs, output)
    common: dict[str, Json] = {"withRulesInForce": True} if any_rules else {}
    if runs:
        done, refused = _named(client, runs, common, yes=yes)
    else:
        done = _many(client, chosen, common | ({"all": True} if every else {}), yes=yes)
        refused = {}
    _tell(done, refused, output)


def _check_choice(*, named: bool, chosen: bool, now: bool) -> None:
    """Check that runs are either named or chosen, and named for ``--now``.

    Raises:
        click.UsageError: they are not.
    """
    if now and (chosen or not named):
        raise click.UsageError("--now takes the ids of runs, and no option that chooses them")
    if named == chosen:
        raise click.UsageError("name runs, or choose them with --rule, --since ... or --all")


def _tell(done: Sequence[str], refused: Mapping[str, str], output: str) -> NoReturn:
    """Tell which runs are retried and why others are not, and end with whether all are."""
    if output != "json":
        many.write_refused(refused)
    answer = {"retried": len(done), "runs": done, "refused": refused}
    write_answer(answer, output, f"{plural(len(done), 'run')} retried")
    sys.exit(int(bool(refused)))


def _hurry(client: Client, runs: Sequence[str], output: str) -> NoReturn:
    """Have runs tried at once, and end with whether each of them waited for a time."""
    those = list(many.named(client, runs, "r"))
    done = many.act(client, "hurry", "hurried", those, reason="", yes=True, output=output)
    sys.exit(int(not done))


def _named(
    client: Client, names: Sequence[str], common: Body, *, yes: bool
) -> tuple[list[str], dict[str, str]]:
    """Retry what these ids name; return the runs that are, and why others are refused.

    It asks where a plan or a sync means more than one run.
    """
    found = [[*many.failed_runs(client, name)] for name in names]
    those = {one.id: one for runs in found for one in runs}
    if not yes and max(map(len, found)) > 1:
        _ask(those.values())
    refused = many.send_each(client, "retry", [*those.values()], common)
    return [run for run in those if run not in refused], refused


def _many(client: Client, chosen: Mapping[str, str], common: Body, *, yes: bool) -> list[str]:
    """Retry all that the filters choose, in requests of a size that a server can answer."""
    if not yes and not _ask(many.choose(client, chosen, [], [RunState.FAILED])):
        return []
    body: dict[str, Json] = {"state": "failed", **chosen, **common, "limit": AT_ONCE}
    done: list[str] = []
    more = True
    while more:
        try:
            answer = client.send("POST", "/v1/runs/retry", body)
        except ServerError:
            many.write_broken_off(len(done), "between two requests")
            raise
        done += answer["runs"]
        more = answer["more"] and bool(answer["runs"])
        body["until"] = answer["until"]  # what fails anew meanwhile is not retried again
    return done


def _ask(runs: Iterable[many.One]) -> int:
    """Show how many there are, and by which rules and actions, and ask; return how many."""
    total = many.write_counts(runs)
    if total:
        confirm(f"Retry {plural(total, 'run')} that failed?")
    return total
