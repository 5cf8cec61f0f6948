"""The options that choose runs, for `postsync runs` and `postsync retry`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from receiver.cli import complete


def run_filters(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that choose runs; "" is what was not given."""
    for option in (
        click.option("--until", default="", help="Only before: 2h, 7d, or a time."),
        click.option("--since", default="", help="Only since: 2h, 7d, or a time."),
        click.option("--application", default="", help="Only of this Application."),
        click.option(
            "--handler", default="", help="Only of this handler.", shell_complete=complete.handlers
        ),
        click.option(
            "--rule", default="", help="Only of this rule.", shell_complete=complete.rules
        ),
    ):
        function = option(function)
    return function
