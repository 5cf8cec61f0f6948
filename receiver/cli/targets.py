"""Ids as arguments of commands, and their paths in the API."""

from __future__ import annotations

import re

import click

from receiver.cli.client import Client

KINDS = {"r": "runs", "p": "plans", "s": "syncs"}
WORDS = {"r": "a run (r-...)", "p": "a plan (p-...)", "s": "a sync (s-...)"}


def sync_of(client: Client, number: str) -> str:
    """Return a sync's id as it is; of ``last`` that of the newest."""
    return str(client.get("/v1/syncs/last")["id"]) if number == "last" else number


def api_path(number: str, *letters: str) -> str:
    """Return the API's path of an id.

    Raises:
        click.UsageError: it names nothing of these kinds.
    """
    if not re.fullmatch(rf"[{''.join(letters)}]-[0-9a-z]+", number):
        wanted = " or ".join(WORDS[letter] for letter in letters)
        raise click.UsageError(f"{number!r} is not the id of {wanted}")
    return f"/v1/{KINDS[number[0]]}/{number}"
