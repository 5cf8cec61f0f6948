"""`postsync syncs`: the newest syncs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from receiver.cli.client import Client, find_token

UNBOUNDED = 1000
"""Columns where nobody looks: a line of a pipe is one sync, and nothing of it is cut."""

FOLDING = frozenset({"APPLICATION", "CAME OF IT"})
"""Columns that may break into lines on a terminal; an id that is cut cannot be copied."""


@click.command()
@click.option("--application", default="", help="Only of this one: namespace/name, or the name.")
@click.option("--limit", default=20, show_default=True, help="How many, up to 500.")
@click.option("--before", default="", help="Only those older than this sync.")
@click.option("--url", help="The server (default POSTSYNC_URL, or http://127.0.0.1:8080).")
@click.option("--token-file", type=click.Path(path_type=Path), help="File with your token.")
@click.option("--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def syncs(
    *,
    application: str,
    limit: int,
    before: str,
    url: str | None,
    token_file: Path | None,
    output: str,
) -> None:
    """List the newest syncs, and what came of them."""
    query = {"limit": str(limit), "application": application, "before": before}
    rows = Client(url, find_token("operators", token_file)).get("/v1/syncs", query)["syncs"]
    if output == "json":
        click.echo(json.dumps(rows, indent=2))
    elif not rows:
        click.echo(
            "no syncs yet; `postsync send config/examples/notification.json --now` posts one"
        )
    else:
        console = Console(highlight=False)
        if not console.is_terminal:
            console.width = UNBOUNDED
        console.print(_table(rows))


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("SYNC", "FINISHED", "APPLICATION", "PHASE", "CHANGED", "CAME OF IT"):
        table.add_column(heading, no_wrap=heading not in FOLDING, overflow="fold")
    for row in rows:
        changed = f"{row['changed']} of {row['resources']}"
        table.add_row(
            row["id"],
            row["finishedAt"] or "",
            row["application"],
            row["phase"],
            changed,
            _came(row),
        )
    return table


def _came(row: dict[str, Any]) -> str:
    if row["state"] != "planned":
        return f"{row['state']}: {row['reason']}" if row["reason"] else str(row["state"])
    plans = [f"{plan['rule']} {plan['state']}" for plan in row["plans"]]
    return ", ".join(plans) or "no rule matched"
