"""`postsync pause`: starts no more attempts of a rule, a handler or all."""

from __future__ import annotations

import sys

import click

from receiver.cli.client import Client
from receiver.cli.options import output_option, server_options, write_answer
from receiver.cli.scope import pause_path, scope_name, scope_options
from receiver.cli.screen import confirm, write_line


@click.command()
@scope_options
@click.option("--reason", default="", help="Why, for the trail and for `postsync pauses`.")
@output_option()
@server_options
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
    path = pause_path(rule, handler, every=every)
    if not (rule or handler or every):
        _ask_for_all()
    answer = client.send("PUT", path, {"reason": reason} if reason else None)
    write_answer(answer, output, f"paused {scope_name(rule, handler)}")


def _ask_for_all() -> None:
    """Ask whether all is meant; without a terminal, refuse."""
    if not sys.stdin.isatty():
        raise click.UsageError("say what is paused: --rule NAME, --handler NAME, or --all")
    write_line("--rule NAME pauses one rule, --handler NAME one handler.", err=True)
    confirm("Pause all of them?")
