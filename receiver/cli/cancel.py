"""`postsync cancel`: cancels a run, a plan or all plans of a sync."""

from __future__ import annotations

import click

from receiver.cli import options
from receiver.cli.client import Client
from receiver.cli.screen import confirm, plural, write_answer


@click.command()
@click.argument("number", metavar="ID")
@options.reason
@options.yes
@options.output()
@options.server
def cancel(number: str, *, reason: str, yes: bool, client: Client, output: str) -> None:
    """Cancel ID: a run (r-...), a plan (p-...), or every plan of a sync (s-...).

    What is running is cut off as far as Postsync is concerned: its outcome is not written, and
    the other side may have acted. A cancelled plan starts no onFailure.

    \b
      postsync cancel r-1m7y9gr9ez7egy539n --reason "the zone is gone"
      postsync cancel s-1m7y9gr9ez7egy539n
    """  # noqa: D301 click's \b keeps the lines
    path = options.api_path(number, "r", "p", "s")
    if not yes and not number.startswith("r-"):
        confirm(f"Cancel all that is open of {number}?")
    answer = client.send("POST", f"{path}/cancel", {"reason": reason} if reason else None)
    runs = f", {plural(len(answer['runs']), 'run')}" if "runs" in answer else ""
    write_answer(answer, output, f"cancelled {number}{runs}")
