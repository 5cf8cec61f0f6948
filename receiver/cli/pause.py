"""`postsync pause`: start no more attempts."""

from __future__ import annotations

import click

from receiver.cli.client import Client
from receiver.cli.options import asks_server, output_option, tell
from receiver.cli.scope import path_of, scope_options, words


@click.command()
@scope_options
@click.option("--reason", default="", help="Why, for the trail and for `postsync pauses`.")
@output_option()
@asks_server
def pause(*, rule: str, handler: str, reason: str, client: Client, output: str) -> None:
    """Start no more attempts: of a rule, of a handler, or, without an option, of anything.

    Notifications are still taken and planned; what is running ends. The time of a pause does
    not count against a deadline.

    \b
      postsync pause --rule purge-shop-assets --reason "the CDN is down"
      postsync pause --handler http.request
      postsync pause
    """  # noqa: D301 click's \b keeps the lines
    path = path_of(rule, handler)
    answer = client.send("PUT", path, {"reason": reason} if reason else None)
    tell(answer, output, f"paused {words(rule, handler)}")
