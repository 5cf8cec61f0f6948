"""`postsync replay`: plans a sync anew under today's rules."""

from __future__ import annotations

import click

from receiver.cli import complete, options
from receiver.cli.client import Client
from receiver.cli.screen import write_answer
from receiver.core.model import Json


@click.command()
@click.argument("sync")
@click.option("--rule", default="", help="This rule only.", shell_complete=complete.rules)
@options.any_rules
@options.output()
@options.server
def replay(sync: str, *, rule: str, any_rules: bool, client: Client, output: str) -> None:
    """Plan SYNC anew under today's rules: an id, or `last`.

    For a rule that was written or mended after the sync. What was done for it before is done
    again where a rule still matches; `retry` repeats only what failed. While the rule files have
    mistakes, older rules are in force: then it is refused, unless --with-rules-in-force is given.

    \b
      postsync replay s-1m7y9gr9ez7egy539n --rule purge-shop-assets
      postsync replay last
    """  # noqa: D301 click's \b keeps the lines
    wanted = options.sync_of(client, sync)
    body: dict[str, Json] = {"rule": rule} if rule else {}
    body |= {"withRulesInForce": True} if any_rules else {}
    answer = client.send("POST", f"/v1/syncs/{wanted}/replay", body)
    number = answer["replay"]["id"]
    write_answer(answer, output, f"replay   {number}", f"next     postsync show {wanted}")
