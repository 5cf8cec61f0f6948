"""`postsync syncs`: lists the newest syncs."""

from __future__ import annotations

import click

from receiver.cli.client import Client
from receiver.cli.options import Columns, output_option, server_options, write_rows
from receiver.core.states import SyncState
from receiver.ledger.queries.rows import SyncWithPlans

HEADINGS = ("SYNC", "FINISHED", "APPLICATION", "PHASE", "CHANGED", "CAME OF IT")
FOLDING = frozenset({"APPLICATION", "CAME OF IT"})
NONE_YET = "no syncs yet; `postsync send --example` posts one"


@click.command()
@click.option("--application", default="", help="Only of this one: namespace/name, or the name.")
@click.option(
    "--state", type=click.Choice([state.value for state in SyncState]), help="Only in this."
)
@click.option("--since", default="", help="Only those that came since: 2h, 7d, or a time.")
@click.option("--until", default="", help="Only those that came before: 2h, 7d, or a time.")
@click.option("--limit", default=20, show_default=True, help="How many.")
@output_option("table")
@server_options
def syncs(
    *,
    application: str,
    state: str | None,
    since: str,
    until: str,
    limit: int,
    client: Client,
    output: str,
) -> None:
    """List the newest syncs, and what came of them.

    \b
      postsync syncs
      postsync syncs --application shop --since 2d
    """  # noqa: D301 click's \b keeps the lines
    query = {"application": application, "state": state or "", "since": since, "until": until}
    rows: list[SyncWithPlans] = list(client.pages("/v1/syncs", "syncs", query, limit))
    nothing = "no sync is like that" if any(query.values()) else NONE_YET
    write_rows(rows, output, Columns(HEADINGS, _cells, FOLDING), nothing)


def _cells(row: SyncWithPlans) -> list[str]:
    changed = f"{'?' if row['changed'] is None else row['changed']} of {row['resources']}"
    finished = row["finishedAt"] or ""
    return [row["id"], finished, row["application"], row["phase"], changed, _result(row)]


def _result(row: SyncWithPlans) -> str:
    if row["state"] == "new":
        return row["reason"]
    if row["state"] != SyncState.PLANNED:
        return f"{row['state']}: {row['reason']}" if row["reason"] else row["state"]
    plans = [f"{plan['rule']} {plan['state']}" for plan in row["plans"]]
    text = ", ".join(plans) or ("" if row["reason"] else "no rule matched")
    return "; ".join(filter(None, (text, row["reason"])))
