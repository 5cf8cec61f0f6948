"""`postsync pause`: start no more attempts."""

from __future__ import annotations

import sys

import click

from receiver.cli.client import Client
from receiver.cli.options import asks_server, output_option, tell
from receiver.cli.scope import path_of, scope_options, words
from receiver.cli.screen import ask, say


@click.command()
@scope_options
@click.option("--reason", default="", help="Why, for the trail and for `postsync pauses`.")
@output_option()
@asks_server
def pause(
    *, rule: str, handler: str, every: bool, reason: str, client: Client, output: str
) -> None:
    """Start no more attempts: of a rule, of a handler, or of all.

    Notifications are still taken and planned; what is running ends. The time of a pause does
    not count against a deadline. Without a scope it asks on a terminal whether all is meant.

    \b
      postsync pause --rule purge-shop-assets --reason "the CDN is down"
      postsync pause --handler http.request
      postsync pause --all --reason "maintenance"
    """  # noqa: D301 click's \b keeps the lines
    path = path_of(rule, handler, every=every)
    if not (rule or handler or every):
        _ask_for_all()
    answer = client.send("PUT", path, {"reason": reason} if reason else None)
    tell(answer, output, f"paused {words(rule, handler)}")


def _ask_for_all() -> None:
    """Ask whether all is meant; where nobody can be asked, say how to say so."""
    if not sys.stdin.isatty():
        raise click.UsageError("say what is paused: --rule NAME, --handler NAME, or --all")
    say("--rule NAME pauses one rule, --handler NAME one handler.", err=True)
    ask("Pause all of them?")
