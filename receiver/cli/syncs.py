"""`postsync syncs`: lists the newest syncs."""

from __future__ import annotations

import click

from receiver.cli import options
from receiver.cli.client import Client
from receiver.cli.screen import write_rows
from receiver.core.states import UNPLANNED_SYNCS, SyncState
from receiver.ledger.queries.rows import SyncWithPlans

NONE_YET = "no syncs yet; `postsync send --example` posts one"


@click.command()
@click.option("--application", default="", help="Only of this one: namespace/name, or the name.")
@click.option("--project", default="", help="Only of this AppProject.")
@click.option(
    "--state", type=options.States([state.value for state in SyncState]), help="Only in this."
)
@click.option("--since", default="", help="Only those that came since: 2h, 7d, or a time.")
@click.option("--until", default="", help="Only those that came before: 2h, 7d, or a time.")
@click.option("--limit", default=20, show_default=True, help="How many.")
@options.output("table")
@options.server
def syncs(*, limit: int, client: Client, output: str, **query: str | None) -> None:
    """List the newest syncs, and what came of them.

    \b
      postsync syncs
      postsync syncs --application shop --since 2d
    """  # noqa: D301 click's \b keeps the lines
    chosen = {name: value for name, value in query.items() if value}
    rows: list[SyncWithPlans] = list(client.pages("/v1/syncs", "syncs", chosen, limit))
    nothing = "no sync is like that" if chosen else NONE_YET
    write_rows(rows, output, nothing, _cells, {"APPLICATION", "CAME OF IT"})


def _cells(row: SyncWithPlans) -> dict[str, str]:
    changed = "?" if row["changed"] is None else row["changed"]
    return {
        "SYNC": row["id"], "FINISHED": row["finishedAt"] or "", "APPLICATION": row["application"],
        "PHASE": row["phase"] or row["channel"], "CHANGED": f"{changed} of {row['resources']}",
        "CAME OF IT": _result(row),
    }  # fmt: skip


def _result(row: SyncWithPlans) -> str:
    if row["state"] in UNPLANNED_SYNCS:
        return row["reason"]
    if row["state"] != SyncState.PLANNED:
        return f"{row['state']}: {row['reason']}" if row["reason"] else row["state"]
    plans = [f"{plan['rule']} {plan['state']}" for plan in row["plans"]]
    text = ", ".join(plans) or ("" if row["reason"] else "no rule matched")
    return "; ".join(filter(None, (text, row["reason"])))
