"""The options of `pause` and `resume`: everything, a rule or a handler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import click

from receiver.cli import complete


def scope_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command ``--all``, ``--rule`` and ``--handler``; "" is what was not given."""
    every = click.option("--all", "every", is_flag=True, help="All rules and handlers.")
    rule = click.option("--rule", default="", help="This rule only.", shell_complete=complete.rules)
    handler = click.option(
        "--handler", default="", help="This handler only.", shell_complete=complete.handlers
    )
    return every(rule(handler(function)))


def pause_path(rule: str, handler: str, *, every: bool) -> str:
    """Return the API's path of a pause.

    Raises:
        click.UsageError: more than one was given.
    """
    if sum(map(bool, (rule, handler, every))) > 1:
        raise click.UsageError("either --rule or --handler, or --all")
    if rule:
        return f"/v1/pauses/rules/{quote(rule, safe='')}"
    return f"/v1/pauses/handlers/{quote(handler, safe='')}" if handler else "/v1/pauses/all"


def scope_name(rule: str, handler: str) -> str:
    """Return the name of what is paused."""
    if rule:
        return f"rule {rule}"
    return f"handler {handler}" if handler else "all"
