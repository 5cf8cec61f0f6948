"""`postsync show`: one sync's story, from its trail."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from receiver.cli.client import Client, find_token

IDS = frozenset({"seq", "at", "event", "delivery", "plan", "run", "attempt"})
GOOD = ("accepted", "succeeded", "matched")
BAD = ("failed", "refused", "error", "lost")
OPEN = frozenset({"waiting", "active"})


@click.command()
@click.argument("sync", default="last")
@click.option("--wait", type=float, default=0, help="Wait so many seconds for its plans to end.")
@click.option("--url", help="The server (default POSTSYNC_URL, or http://127.0.0.1:8080).")
@click.option("--token-file", type=click.Path(path_type=Path), help="File with your token.")
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def show(sync: str, *, wait: float, url: str | None, token_file: Path | None, output: str) -> None:
    """Tell the story of SYNC, an id or `last`: what came, what matched and why, what was done."""
    client = Client(url, find_token("operators", token_file))
    story = _when_ended(client, sync, time.monotonic() + wait)
    if output == "json":
        click.echo(json.dumps(story, indent=2))
        return
    for line in _lines(story):
        click.echo(line)


def _when_ended(client: Client, sync: str, until: float) -> dict[str, Any]:
    while True:
        story: dict[str, Any] = client.get(f"/v1/syncs/{sync}")
        waits = story["state"] == "new" or any(plan["state"] in OPEN for plan in story["plans"])
        if not waits or time.monotonic() >= until:
            return story
        time.sleep(0.2)


def _lines(story: Mapping[str, Any]) -> Iterator[str]:
    yield click.style(f"{story['application']} {story['phase']}", bold=True)
    yield f"sync {story['id']}, finished {story['finishedAt']}, revision {story['revision']}"
    yield f"{story['resources']} resources, {story['changed']} changed"
    if story["reason"]:
        yield f"{story['state']}: {story['reason']}"
    yield ""
    for event in story["events"]:
        yield _line(event)
        for target in event.get("targets", ()):
            yield f"{'':26}{target['resource']}: {target['reason']}"


def _line(event: Mapping[str, Any]) -> str:
    name = str(event["event"])
    colour = "green" if name.endswith(GOOD) else "red" if name.endswith(BAD) else None
    about = [
        f"{key}={_text(value)}"
        for key, value in event.items()
        if key not in IDS and key != "targets"
    ]
    number = [f"attempt={event['attempt']}"] if "attempt" in event else []
    clock = str(event["at"]).split("T")[1]
    return f"{clock:14}{click.style(f'{name:24}', fg=colour)}{' '.join(number + about)}"


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return f'"{text}"' if " " in text else text
