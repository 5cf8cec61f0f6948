"""`postsync pauses`: what is paused."""

from __future__ import annotations

import json

import click

from receiver.cli.client import Client
from receiver.cli.options import asks_server, output_option, print_table

HEADINGS = ("PAUSED", "NAME", "BY", "SINCE", "REASON")


@click.command()
@output_option("table")
@asks_server
def pauses(*, client: Client, output: str) -> None:
    """List what is paused, by whom and why.

    \b
      postsync pauses
    """  # noqa: D301 click's \b keeps the lines
    rows = client.get("/v1/pauses")["pauses"]
    if output == "json":
        click.echo(json.dumps(rows, indent=2))
    elif rows:
        cells = [
            [row[key] or "" for key in ("scope", "name", "by", "at", "reason")] for row in rows
        ]
        print_table(HEADINGS, cells, frozenset({"NAME", "REASON"}))
    else:
        click.echo("nothing is paused")
