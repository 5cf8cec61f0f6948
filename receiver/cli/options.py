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
from receiver.core.errors import SettingsError, UnreadableFile
from receiver.core.states import PlanState, RunState, SyncState
from receiver.core.user_files import read_bytes, read_stream
from receiver.settings.loading import load_settings

Command: TypeAlias = Callable[..., Any]

STDIN = Path("-")
EXAMPLE = (
    "`postsync send --example` posts a notification that comes with Postsync, `postsync init "
    "FOLDER` makes a file of it"
)
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
    help="YAML file of settings (default POSTSYNC_SETTINGS).",
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
        SettingsError: there is none, or it is too large.
    """
    try:
        return read_stream(Path("stdin"), sys.stdin.buffer) if file == STDIN else read_bytes(file)
    except UnreadableFile as error:
        raise SettingsError(error.message, hint=EXAMPLE) from None


def payload(function: Command) -> Command:
    """Give a command a notification in a file, FILE or ``--payload``; None if neither is given."""
    file = click.Path(allow_dash=True, path_type=Path)

    @click.argument("file", required=False, type=file)
    @click.option("--payload", type=file, help="The same as FILE: the notification; - reads stdin.")
    @functools.wraps(function)
    def call(*args: Any, file: Path | None, payload: Path | None, **options: Any) -> Any:
        if file is not None and payload is not None:
            raise click.UsageError(f"there are two notifications: {file}, and --payload {payload}")
        return function(*args, payload=file or payload, **options)

    return call


def came_by(function: Command) -> Command:
    """Give a command the options that say how a notification in a file came."""
    for option in (
        click.option("--sender", default="", help="The name of the token that it came with."),
        click.option("--channel", default="sync", show_default=True, help="What it came by."),
    ):
        function = option(function)
    return function


rules = click.option(
    "--rules", "paths", multiple=True, type=click.Path(path_type=Path),
    help="A rule file or folder, several times (default: those of the settings).",
)  # fmt: skip


def rule_files(function: Command) -> Command:
    """Give a command rule files and folders, FILES or ``--rules``."""

    @click.argument("files", nargs=-1, type=click.Path(path_type=Path))
    @click.option(
        "--rules", multiple=True, type=click.Path(path_type=Path),
        help="The same as FILES: a rule file or folder, several times.",
    )  # fmt: skip
    @functools.wraps(function)
    def call(*args: Any, files: tuple[Path, ...], rules: tuple[Path, ...], **options: Any) -> Any:
        return function(*args, files=files + rules, **options)

    return call


def server_if_asked(function: Command) -> Command:
    """Give a command the options that find a server, and hand it ``connect``.

    A command that may do without a server needs no token before it is called. It is handed the
    file of settings, too, which says where the home with the tokens is.
    """

    @click.option("--url", help="The server (default POSTSYNC_URL, or http://127.0.0.1:8080).")
    @click.option("--token-file", type=click.Path(path_type=Path), help="File with your token.")
    @ca
    @settings
    @functools.wraps(function)
    def call(
        *args: Any, url: str | None, token_file: Path | None, ca: Path | None,
        settings_file: Path | None, **options: Any,
    ) -> Any:  # fmt: skip
        def connect() -> Client:
            home = load_settings(settings_file).home
            return Client(url, find_token(home / "operators", token_file), ca)

        return function(*args, connect=connect, settings_file=settings_file, **options)

    return call


def server(function: Command) -> Command:
    """Give a command the options that find a server, and hand it the ``client``."""

    @functools.wraps(function)
    def call(
        *args: Any, connect: Callable[[], Client], settings_file: Path | None, **options: Any
    ) -> Any:
        del settings_file  # the client has read it
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
