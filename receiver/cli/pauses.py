"""`postsync pauses`: lists what is paused."""

from __future__ import annotations

import click

from receiver.cli import options
from receiver.cli.client import Client
from receiver.cli.screen import write_rows
from receiver.ledger.queries.rows import Pause


@click.command()
@options.output("table")
@options.server
def pauses(*, client: Client, output: str) -> None:
    """List what is paused, by whom and why.

    \b
      postsync pauses
    """  # noqa: D301 click's \b keeps the lines
    rows: list[Pause] = client.get("/v1/pauses")["pauses"]
    write_rows(rows, output, "nothing is paused", _cells, {"NAME", "REASON"})


def _cells(row: Pause) -> dict[str, str]:
    return {
        "PAUSED": row["scope"], "NAME": row["name"], "BY": row["by"], "SINCE": row["at"],
        "REASON": row["reason"],
    }  # fmt: skip
