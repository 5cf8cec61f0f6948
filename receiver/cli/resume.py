"""`postsync resume`: lifts a pause."""

from __future__ import annotations

import click

from receiver.cli.client import Client
from receiver.cli.options import output_option, server_options, write_answer
from receiver.cli.scope import pause_path, scope_name, scope_options


@click.command()
@scope_options
@output_option()
@server_options
def resume(*, rule: str, handler: str, every: bool, client: Client, output: str) -> None:
    """Lift the pause of a rule, of a handler, or, without an option or with --all, that of all.

    Each is lifted as it was set: a rule's pause stays when that of all is lifted.

    \b
      postsync resume --rule purge-shop-assets
      postsync resume --all
    """  # noqa: D301 click's \b keeps the lines
    answer = client.send("DELETE", pause_path(rule, handler, every=every))
    name = scope_name(rule, handler)
    write_answer(
        answer, output, f"resumed {name}" if answer["resumed"] else f"{name} was not paused"
    )
