"""`postsync pauses`: lists what is paused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from receiver.cli.client import Client
from receiver.cli.options import Columns, output_option, server_options, write_rows

HEADINGS = ("PAUSED", "NAME", "BY", "SINCE", "REASON")


@click.command()
@output_option("table")
@server_options
def pauses(*, client: Client, output: str) -> None:
    """List what is paused, by whom and why.

    \b
      postsync pauses
    """  # noqa: D301 click's \b keeps the lines
    rows = client.get("/v1/pauses")["pauses"]
    columns = Columns(HEADINGS, _cells, frozenset({"NAME", "REASON"}))
    write_rows(rows, output, columns, "nothing is paused")


def _cells(row: Mapping[str, Any]) -> list[str]:
    return [row[key] or "" for key in ("scope", "name", "by", "at", "reason")]
