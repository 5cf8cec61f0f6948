"""`postsync tail`: prints the trail's newest events, and follows it."""

from __future__ import annotations

from itertools import chain

import click

from receiver.cli import options, trail
from receiver.cli.client import Client
from receiver.cli.screen import write_json, write_line

HIDDEN = trail.HIDDEN - {"sync", "run"}
"""What a line leaves out; the sync is what one would show, the run what one would retry."""


@click.command()
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@click.option("--since", default="10m", show_default=True, help="Begin at: 10m, 2h, or a time.")
@options.sync
@options.rule
@options.application
@click.option("--event", default="", help="Only events of this name; * stands for anything.")
@options.output()
@options.server
def tail(*, follow: bool, client: Client, output: str, **query: str) -> None:
    """Print the trail's events, the oldest first, and follow it with -f.

    A restart of the server is waited for, and nothing of the trail is missed. With
    `--output json` each line is a JSON object.

    \b
      postsync tail -f
      postsync tail -f --rule purge-shop-assets --event 'attempt.*'
      postsync tail --since 2h --application shop
    """  # noqa: D301 click's \b keeps the lines
    query["sync"] = options.sync_of(client, query["sync"])
    now = chain.from_iterable(trail.pages(client, query))
    try:
        for event in trail.follow(client, query) if follow else now:
            if output == "json":
                write_json(event, indent=None)
            else:
                write_line(*trail.event_line(event, f"{event['at']:25}", HIDDEN))
    except KeyboardInterrupt:
        return
