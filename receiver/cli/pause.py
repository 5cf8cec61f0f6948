"""`postsync pause`: starts no more attempts of a rule, a handler or all."""

from __future__ import annotations

import sys
from urllib.parse import quote

import click

from receiver.cli import complete, options
from receiver.cli.client import Client
from receiver.cli.screen import confirm, write_answer, write_line


def scope_options(function: options.Command) -> options.Command:
    """Give a command ``--all``, ``--rule`` and ``--handler``; "" is what was not given."""
    every = click.option("--all", "every", is_flag=True, help="All rules and handlers.")
    rule = click.option("--rule", default="", help="This rule only.", shell_complete=complete.rules)
    handler = click.option(
        "--handler", default="", help="This handler only.", shell_complete=complete.handlers
    )
    return every(rule(handler(function)))


def scope(rule: str, handler: str, *, every: bool) -> tuple[str, str]:
    """Return the API's path of a pause, and the name of what is paused.

    Raises:
        click.UsageError: more than one was given.
    """
    if sum(map(bool, (rule, handler, every))) > 1:
        raise click.UsageError("either --rule or --handler, or --all")
    if rule:
        return f"/v1/pauses/rules/{quote(rule, safe='')}", f"rule {rule}"
    if handler:
        return f"/v1/pauses/handlers/{quote(handler, safe='')}", f"handler {handler}"
    return "/v1/pauses/all", "all"


@click.command()
@scope_options
@click.option("--reason", default="", help="Why, for the trail and for `postsync pauses`.")
@options.output()
@options.server
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
    path, name = scope(rule, handler, every=every)
    if not (rule or handler or every):
        _ask_for_all()
    answer = client.send("PUT", path, {"reason": reason} if reason else None)
    write_answer(answer, output, f"paused {name}")


def _ask_for_all() -> None:
    """Ask whether all is meant; without a terminal, refuse."""
    if not sys.stdin.isatty():
        raise click.UsageError("say what is paused: --rule NAME, --handler NAME, or --all")
    write_line("--rule NAME pauses one rule, --handler NAME one handler.", err=True)
    confirm("Pause all of them?")
