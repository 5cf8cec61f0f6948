"""Options and arguments that commands share."""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import click

from receiver.cli import complete
from receiver.cli.client import Client, find_token
from receiver.core.states import PlanState, RunState, SyncState
from receiver.core.user_files import read_bytes, read_stream

Command: TypeAlias = Callable[..., Any]

STDIN = Path("-")
KINDS = {"r": "run", "p": "plan", "s": "sync"}

ca = click.option(
    "--ca", type=click.Path(path_type=Path),
    help="PEM file of the authority to trust (default POSTSYNC_CA, or the public ones).",
)  # fmt: skip

database = click.option(
    "--database", metavar="URL",
    help="PostgreSQL database of the ledger (better in POSTSYNC_DATABASE: it may have a password).",
)  # fmt: skip

settings = click.option(
    "--settings", "settings_file", type=click.Path(path_type=Path),
    help="YAML file of settings; it says where the ledger is.",
)  # fmt: skip

any_rules = click.option(
    "--with-rules-in-force", "any_rules", is_flag=True,
    help="Also while the rule files are refused, and older rules are in force.",
)  # fmt: skip

rule = click.option("--rule", default="", help="Only of this rule.", shell_complete=complete.rules)
application = click.option("--application", default="", help="Only of this Application.")
sync = click.option("--sync", default="", help="Only of this sync, or `last`.")
reason = click.option("--reason", default="", help="Why, for the trail.")
yes = click.option("--yes", is_flag=True, help="Do not ask.")


class States(click.Choice[str]):
    """A state of syncs, plans or runs; a state of another of these is told apart from none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the state that was named."""
        others = {"syncs": SyncState, "plans": PlanState, "runs": RunState}
        homes = [command for command, states in others.items() if value in {*states}]
        if homes and value not in self.choices:
            where = " or ".join(f"`postsync {home} --state {value}`" for home in homes)
            self.fail(f"{value} is no state of these; there is {where}", param, ctx)
        return super().convert(value, param, ctx)


def read_payload(file: Path) -> bytes:
    """Return a notification from a file, or from stdin if that is ``-``.

    Raises:
        UnreadableFile: there is none, or it is too large.
    """
    if file == STDIN:
        return read_stream(Path("stdin"), sys.stdin.buffer)
    return read_bytes(file)


def payload(*, required: bool = True) -> Callable[[Command], Command]:
    """Make the options of a notification in a file: ``--payload``, and how it came."""
    file = click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)

    def decorate(function: Command) -> Command:
        for option in (
            click.option("--sender", default="", help="The name of the token that it came with."),
            click.option("--channel", default="sync", show_default=True, help="What it came by."),
            click.option(
                "--payload", type=file, required=required, help="The notification; - reads stdin."
            ),
        ):
            function = option(function)
        return function

    return decorate


def rules(default: str = "those of the settings") -> Callable[[Command], Command]:
    """Make the option ``--rules``: files and folders; ``default`` is what counts without it."""
    return click.option(
        "--rules", "paths", multiple=True, type=click.Path(path_type=Path),
        help=f"A rule file or folder, several times; by default {default}.",
    )  # fmt: skip


def server_if_asked(function: Command) -> Command:
    """Give a command the options that find a server, and hand it ``connect``.

    A command that may do without a server needs no token before it is called.
    """

    @click.option("--url", help="The server (default POSTSYNC_URL, or http://127.0.0.1:8080).")
    @click.option("--token-file", type=click.Path(path_type=Path), help="File with your token.")
    @ca
    @functools.wraps(function)
    def call(
        *args: Any, url: str | None, token_file: Path | None, ca: Path | None, **options: Any
    ) -> Any:
        def connect() -> Client:
            return Client(url, find_token("operators", token_file), ca)

        return function(*args, connect=connect, **options)

    return call


def server(function: Command) -> Command:
    """Give a command the options that find a server, and hand it the ``client``."""

    @functools.wraps(function)
    def call(*args: Any, connect: Callable[[], Client], **options: Any) -> Any:
        return function(*args, client=connect(), **options)

    return server_if_asked(call)


def run_filters(function: Command) -> Command:
    """Give a command the options that choose runs; "" is what was not given."""
    for option in (
        click.option("--until", default="", help="Only before: 2h, 7d, or a time."),
        click.option("--since", default="", help="Only since: 2h, 7d, or a time."),
        application,
        click.option(
            "--handler", default="", help="Only of this handler.", shell_complete=complete.handlers
        ),
        rule,
    ):
        function = option(function)
    return function


def api_path(number: str, *letters: str) -> str:
    """Return the API's path of an id.

    Raises:
        click.UsageError: it names nothing of these kinds.
    """
    if not re.fullmatch(rf"[{''.join(letters)}]-[0-9a-z]+", number):
        wanted = " or ".join(f"a {KINDS[letter]} ({letter}-...)" for letter in letters)
        raise click.UsageError(f"{number!r} is not the id of {wanted}")
    return f"/v1/{KINDS[number[0]]}s/{number}"


def fields_for(output: str) -> str:
    """Return which keys of rows to ask for: a program gets all, a table needs what is short."""
    return "*" if output == "json" else ""


def sync_of(client: Client, number: str) -> str:
    """Return a sync's id as it is; of ``last`` that of the newest."""
    return str(client.get("/v1/syncs/last", {"fields": "id"})["id"]) if number == "last" else number


def output(default: str = "text") -> Callable[[Command], Command]:
    """Make the option ``--output``: for people, or JSON."""
    return click.option(
        "--output", type=click.Choice([default, "json"]), default=default, show_default=True,
        help="For people, or for programs.",
    )  # fmt: skip
