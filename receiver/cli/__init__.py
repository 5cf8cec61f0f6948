"""The commands. Each is imported when it is called, so that `--help` is prompt."""

from __future__ import annotations

import sys
from importlib import import_module

import click

from receiver.errors import PostsyncError, Unreachable

COMMANDS = {
    "serve": "Take notifications and run the rules' actions.",
    "check": "Check rule files: every mistake with its place.",
    "explain": "Show which rules a notification matches, and why the others do not.",
    "send": "Post a notification from a file, as Argo CD would.",
    "syncs": "List the newest syncs.",
    "show": "Tell the story of one sync.",
    "handlers": "List the kinds of action, or describe one.",
    "argocd-config": "Print the notification config to apply in Argo CD.",
    "schema": "Print the JSON Schema of rule files, for editors.",
}


class LazyGroup(click.Group):
    """Finds `some-command` as ``some_command`` in the module ``receiver.cli.some_command``."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 click's signature
        """Return the names in the order in which a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 click's signature
        """Import the command, None if there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        command = getattr(import_module(f"receiver.cli.{name}"), name)
        assert isinstance(command, click.Command)  # noqa: S101 each module holds its command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 click's signature
        """Write the list without importing a command."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="postsync-receiver", prog_name="postsync")
def cli() -> None:
    """Run actions after an Argo CD sync, per resource, durably, with a trail.

    \b
    Start with:
      postsync check                     are the rule files right?
      postsync serve                     take notifications and act
      postsync send FILE --now           post one by hand
      postsync show last                 what came of it, and why

    Exit codes: 0 done; 1 refused or failed; 2 wrong usage; 3 no server answers.
    """  # noqa: D301 click's \b keeps the lines


def main() -> None:
    """Run the command line; what we refuse is one message, never a traceback."""
    try:
        cli()
    except PostsyncError as error:
        click.secho(f"postsync: {error}", err=True, fg="red")
        sys.exit(3 if isinstance(error, Unreachable) else 1)
