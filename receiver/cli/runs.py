"""`postsync runs`: lists runs by state and what they belong to."""

from __future__ import annotations

import click

from receiver.cli import options
from receiver.cli.client import Client
from receiver.cli.empty import empty_list_message
from receiver.cli.screen import write_rows
from receiver.core.states import RunState
from receiver.ledger.queries.rows import Run

FOLDING = {"RULE", "ACTION", "APPLICATION", "TARGET", "REASON"}


@click.command()
@click.option(
    "--state", "states", multiple=True, type=options.States([state.value for state in RunState]),
    help="Only in this state; several times.",
)  # fmt: skip
@options.run_filters
@options.sync
@click.option("--plan", default="", help="Only of this plan.")
@click.option("--limit", default=50, show_default=True, help="How many.")
@options.output("table")
@options.server
def runs(
    *, states: tuple[str, ...], sync: str, plan: str, limit: int, client: Client, output: str,
    **filters: str,
) -> None:  # fmt: skip
    """List runs, the newest first: what failed, what is under way, what waits.

    \b
      postsync runs --state failed --since 2h
      postsync runs --state due --state pending --handler http.request
      postsync runs --sync s-1m7y9gr9ez7egy539n
    """  # noqa: D301 click's \b keeps the lines
    query = {"state": states, "sync": options.sync_of(client, sync), "plan": plan, **filters}
    asked = {**query, "fields": options.fields_for(output)}
    rows: list[Run] = list(client.pages("/v1/runs", "runs", asked, limit))
    nothing = "" if rows else empty_list_message(client, "run", query)
    write_rows(rows, output, nothing, _cells, FOLDING)


def _cells(row: Run) -> dict[str, str]:
    waits = f"waits for {row['waitsFor']}" if row["waitsFor"] else ""
    reason = "" if row["state"] == RunState.HELD else row["reason"]  # it waits for just that
    return {
        "RUN": row["id"], "STATE": row["state"], "RULE": row["rule"], "ACTION": row["action"],
        "APPLICATION": row["application"], "TARGET": row["target"], "TRIES": str(row["attempts"]),
        "WHEN": row["endedAt"] or row["dueAt"] or "",
        "REASON": "; ".join(filter(None, (waits, reason))),
    }  # fmt: skip
