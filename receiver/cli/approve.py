"""`postsync approve`: let go on what is held."""

from __future__ import annotations

import click

from receiver.cli.client import Client
from receiver.cli.options import asks_server, count, output_option, tell
from receiver.cli.targets import path_of


@click.command()
@click.argument("number", metavar="ID")
@click.option("--reason", default="", help="Why, for the trail.")
@output_option()
@asks_server
def approve(number: str, *, reason: str, client: Client, output: str) -> None:
    """Let ID go on: a plan (p-...) held by its rule's `limits`, or a run (r-...) by `suspend`.

    \b
      postsync plans --state held
      postsync approve p-1m7y9gr9ez7egy539n --reason "the bootstrap is meant"
    """  # noqa: D301 click's \b keeps the lines
    path = path_of(number, "p", "r")
    answer = client.send("POST", f"{path}/approve", {"reason": reason} if reason else None)
    runs = f", {count(len(answer['runs']), 'run')}" if "runs" in answer else ""
    tell(answer, output, f"approved {number}{runs}")
