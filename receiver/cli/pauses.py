"""`postsync pauses`: lists what is paused."""

from __future__ import annotations

import click

from receiver.cli.client import Client
from receiver.cli.options import Columns, output_option, server_options, write_rows
from receiver.ledger.queries.rows import Pause

HEADINGS = ("PAUSED", "NAME", "BY", "SINCE", "REASON")


@click.command()
@output_option("table")
@server_options
def pauses(*, client: Client, output: str) -> None:
    """List what is paused, by whom and why.

    \b
      postsync pauses
    """  # noqa: D301 click's \b keeps the lines
    rows: list[Pause] = client.get("/v1/pauses")["pauses"]
    columns = Columns(HEADINGS, _cells, frozenset({"NAME", "REASON"}))
    write_rows(rows, output, columns, "nothing is paused")


def _cells(row: Pause) -> list[str]:
    return [row["scope"], row["name"], row["by"], row["at"], row["reason"]]
