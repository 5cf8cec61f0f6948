"""`postsync export`: the trail as JSON lines."""

from __future__ import annotations

import sys

import click

from receiver.cli import options, trail
from receiver.cli.client import Client
from receiver.cli.progress import Progress
from receiver.cli.screen import write_json, write_line
from receiver.core.errors import ServerError
from receiver.core.plural import plural


@click.command()
@click.option("--since", default="", help="Begin at: 30d, 2h, or a time; by default at the first.")
@click.option("--after", default="", help="Begin after the event of this `seq`, to go on.")
@options.server
def export(*, since: str, after: str, client: Client) -> None:
    """Write the trail to standard output: all of it, an event a line, the oldest first.

    Each line is a JSON object with its `seq`. If it breaks off, it says how to go on.

    \b
      postsync export --since 30d > trail.jsonl
      postsync export --after 48213 >> trail.jsonl
    """  # noqa: D301 click's \b keeps the lines
    last, number = after, 0
    try:
        with Progress() as progress:
            for page in trail.pages(client, {"since": since}, after):
                for event in page:
                    write_json(event, indent=None)
                    last = str(event["seq"])
                number += len(page)
                if page:
                    progress.show(f"{plural(number, 'event')}, up to {page[-1]['at']}")
    except (ServerError, KeyboardInterrupt) as error:
        if last:
            write_line(f"postsync: go on with `postsync export --after {last}`", err=True)
        if isinstance(error, ServerError):
            raise
        sys.exit(1)
