"""`postsync plans`: lists plans by state, rule, Application or sync."""

from __future__ import annotations

import click

from receiver.cli import options
from receiver.cli.client import Client
from receiver.cli.empty import empty_list_message
from receiver.cli.screen import write_rows
from receiver.core.states import PlanState
from receiver.ledger.queries.rows import Plan

FOLDING = {"RULE", "APPLICATION", "REASON"}


@click.command()
@click.option(
    "--state", "states", multiple=True, type=options.States([state.value for state in PlanState]),
    help="Only in this state; several times.",
)  # fmt: skip
@options.rule
@options.application
@options.sync
@click.option("--limit", default=50, show_default=True, help="How many.")
@options.output("table")
@options.server
def plans(
    *, states: tuple[str, ...], rule: str, application: str, sync: str, limit: int,
    client: Client, output: str,
) -> None:  # fmt: skip
    """List plans, the newest first: what is held, what collects syncs, what waits for its turn.

    A plan is one rule applied to one sync.

    \b
      postsync plans --state held
      postsync plans --rule purge-shop-assets --state active --state waiting
    """  # noqa: D301 click's \b keeps the lines
    wanted = options.sync_of(client, sync)
    query = {"state": states, "rule": rule, "application": application, "sync": wanted}
    asked = {**query, "fields": options.fields_for(output)}
    rows: list[Plan] = list(client.pages("/v1/plans", "plans", asked, limit))
    nothing = "" if rows else empty_list_message(client, "plan", query)
    write_rows(rows, output, nothing, _cells, FOLDING)


def _cells(row: Plan) -> dict[str, str]:
    return {
        "PLAN": row["id"], "STATE": row["state"], "RULE": row["rule"],
        "APPLICATION": row["application"], "SYNC": row["sync"], "SINCE": row["createdAt"],
        "REASON": f"waits for {row['waitsFor']}" if row["waitsFor"] else row["reason"],
    }  # fmt: skip
