"""`postsync send`: posts a notification by hand."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from receiver.cli import options
from receiver.cli.client import Client, find_token
from receiver.cli.screen import write_json, write_line
from receiver.core.errors import ServerError
from receiver.notification.argocd_config import example_notification
from receiver.settings.loading import load_settings

LAST = "last-notification.json"


@click.command()
@options.payload
@click.option("--now", is_flag=True, help="Move its times to now, so that it is a new sync.")
@click.option("--example", is_flag=True, help="Post one that comes with Postsync, as a new sync.")
@click.option("--same", is_flag=True, help="Repeat the last one sent, byte for byte.")
@click.option("--channel", default="sync", show_default=True, help="The channel in the path.")
@click.option("--url", help="The server (default POSTSYNC_URL, or http://127.0.0.1:8080).")
@click.option("--token-file", type=click.Path(path_type=Path), help="File with the sender's token.")
@click.option("--sender", default="", help="Name of a token in HOME/senders.")
@options.ca
@options.settings
@options.output()
def send(
    *, payload: Path | None, now: bool, example: bool, same: bool, channel: str, url: str | None,
    token_file: Path | None, sender: str, ca: Path | None, settings_file: Path | None, output: str,
) -> None:  # fmt: skip
    """Post a notification from FILE, as Argo CD would; - reads stdin.

    \b
      postsync send --example
      postsync send notification.json --now
      postsync send --same        the same again: a duplicate
    """  # noqa: D301 click's \b keeps the lines
    if [payload is not None, same, example].count(True) != 1 or (same and now):
        raise click.UsageError("name a FILE, or --example, or --same without --now")
    home = load_settings(settings_file).home
    last = home / LAST
    body = example_notification() if example else options.read_payload(payload or last)
    if now or example:
        body, times = _moved(body)
        if output == "text":
            write_line(f"times    {times}")
    client = Client(url, find_token(home / "senders", token_file, sender), ca)
    answer = client.call("POST", f"/v1/notifications/{channel}", body)
    if last.parent.is_dir():
        last.write_bytes(body)
    if output == "json":
        write_json(answer, indent=None)
    else:
        _print(answer)


def _print(answer: dict[str, Any]) -> None:
    because = f" ({answer['reason']})" if answer.get("reason") else ""
    write_line(f"verdict  {answer['verdict']}{because}")
    write_line(f"delivery {answer['delivery']}")
    write_line(f"sync     {answer['sync']}")
    write_line(f"next     postsync show {answer['sync']}")


def _moved(body: bytes) -> tuple[bytes, str]:
    """Move the operation's end to now and its start as much; return the new times too."""
    try:
        tree = json.loads(body)
        application = tree.get("app", tree)  # the operation's state stands in one of three places
        state = tree.get("operationState") or application["status"]["operationState"]
        finished = datetime.fromisoformat(state["finishedAt"])
        started = datetime.fromisoformat(state["startedAt"])
    except (ValueError, KeyError, TypeError):
        raise ServerError(
            "--now finds no startedAt and finishedAt in this file",
            hint="send it without --now",
        ) from None
    end = datetime.now(UTC)
    state["finishedAt"] = _written(end)
    state["startedAt"] = _written(end - (finished - started))
    return json.dumps(tree).encode(), f"{state['startedAt']} to {state['finishedAt']}"


def _written(moment: datetime) -> str:
    """Argo CD writes whole seconds, but what is sent twice in one second is two syncs here."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
