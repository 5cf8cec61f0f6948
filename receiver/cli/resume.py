"""`postsync resume`: lifts a pause."""

from __future__ import annotations

import click

from receiver.cli import options
from receiver.cli.client import Client
from receiver.cli.pause import scope, scope_options
from receiver.cli.screen import write_answer


@click.command()
@scope_options
@options.output()
@options.server
def resume(*, rule: str, handler: str, every: bool, client: Client, output: str) -> None:
    """Lift the pause of a rule, of a handler, or, without an option or with --all, that of all.

    Each is lifted as it was set: a rule's pause stays when that of all is lifted.

    \b
      postsync resume --rule purge-shop-assets
      postsync resume --all
    """  # noqa: D301 click's \b keeps the lines
    path, name = scope(rule, handler, every=every)
    answer = client.send("DELETE", path)
    text = f"resumed {name}" if answer["resumed"] else f"{name} was not paused"
    write_answer(answer, output, text)
