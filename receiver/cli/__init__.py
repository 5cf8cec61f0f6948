"""The commands, a file each, imported when it is called, so that `--help` is prompt."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from keyword import iskeyword
from types import ModuleType
from typing import Any

import click

from receiver.core.errors import PostsyncError, RuleError, Unreachable

TOPICS = {
    "Serving": {
        "init": "Make a folder to begin with: settings, a rule, tokens, a notification.",
        "serve": "Take notifications and run the rules' actions.",
        "work": "Run the actions of a ledger that several hosts share.",
        "health": "Ask whether a server is alive.",
        "argocd-config": "Print the notification config to apply in Argo CD.",
        "send": "Post a notification from a file, as Argo CD would.",
    },
    "Rules": {
        "check": "Check rule files: every mistake with its place.",
        "explain": "Show which rules a notification matches, and why the others do not.",
        "backtest": "Show what edited rules would have made of the last syncs.",
        "try": "Run one rule's actions once, for real, without a server.",
        "handlers": "List the kinds of action, or describe one.",
        "convert": "Make custom resources of rule files, and the other way round.",
        "schema": "Print the JSON Schema of rule files, or the CRD of PostSyncRule.",
    },
    "Looking": {
        "status": "Say whether all is well, and what needs you.",
        "rules": "List the rules in force and how they do: what fails first.",
        "syncs": "List the newest syncs.",
        "show": "Tell what came of a sync, and its story.",
        "runs": "List runs: what failed, what is under way, what waits.",
        "plans": "List plans: what is held, collecting, waiting or under way.",
        "pauses": "List what is paused.",
        "tail": "Print the trail's newest events, and follow it.",
    },
    "Acting": {
        "retry": "Repeat runs that failed.",
        "acknowledge": "Let failed runs be: nobody need look at them any more.",
        "replay": "Plan a sync anew under today's rules.",
        "cancel": "Cancel a run, a plan or all of a sync.",
        "approve": "Let go on what is held for an approval.",
        "pause": "Start no more attempts: of all, of a rule or of a handler.",
        "resume": "Lift a pause.",
    },
    "Ledger": {
        "export": "Write the whole trail as JSON lines.",
        "backup": "Copy the ledger to a file, also while it is in use.",
        "migrate": "Bring a ledger in PostgreSQL to the tables of this version.",
        "prune": "Delete what has ended and is old, and give back the space.",
    },
}
"""In the order in which a newcomer needs them."""

COMMANDS = {name: text for topic in TOPICS.values() for name, text in topic.items()}


@contextmanager
def _escaping() -> Iterator[None]:
    """Escape what click's own errors quote; a list of choices keeps its lines."""
    try:
        yield
    except click.ClickException as error:
        from receiver.core.terminal_text import escape_controls

        lines = error.message.replace("\t", "  ").split("\n")
        vars(error)["message"] = "\n".join(map(escape_controls, lines))
        raise


UNIX = {"fcntl", "resource"}
"""Modules that Windows lacks, and what is served or works on a ledger file needs."""


def _imported(command: str, module: str) -> ModuleType:
    """Import a command's module.

    Raises:
        PostsyncError: it needs what this system lacks.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name not in UNIX:
            raise
        raise PostsyncError(
            f"postsync {command} does not run on {sys.platform}: it lacks {error.name}",
            hint="it runs on Linux, also in a container; here there are init, check, explain, try, "
            "convert, schema, handlers, argocd-config, and the commands that ask a server",
        ) from None


class LazyGroup(click.Group):
    """Finds `some-command` as ``some_command`` in the module ``receiver.cli.some_command``.

    A keyword of Python has an underscore at its end: ``try_``.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 click's signature
        """Return the names, topic by topic."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 click's signature
        """Import the command, None if there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        name = f"{name}_" if iskeyword(name) else name
        gc.disable()  # what is imported stays: to search it for garbage takes a third of the start
        command = getattr(_imported(cmd_name, f"receiver.cli.{name}"), name)
        gc.freeze()
        gc.enable()
        assert isinstance(command, click.Command)  # noqa: S101 each module holds its command
        return command

    @_escaping()
    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """Read the options before the command."""
        return super().make_context(*args, **extra)

    @_escaping()
    def invoke(self, ctx: click.Context) -> Any:
        """Read the command's options, and call it."""
        return super().invoke(ctx)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that was typed, or name the one that may have been meant."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from receiver.core.validation import did_you_mean  # here, so that `--help` stays prompt

            if hint := did_you_mean(args[0], COMMANDS):
                raise click.UsageError(f"{error.message.rstrip('.')} ({hint})", ctx) from None
            raise

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 click's signature
        """Write the list by topics, without importing a command."""
        for topic, commands in TOPICS.items():
            with formatter.section(topic):
                formatter.write_dl(list(commands.items()), col_max=16)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="postsync-receiver", prog_name="postsync")
def cli() -> None:
    """Run actions after an Argo CD sync, per resource, durably, with a trail.

    \b
    Start with:
      postsync init FOLDER               settings, a rule, tokens, and what to type next
      postsync check                     are the rule files right?
      postsync serve                     take notifications and act
      postsync send FILE --now           post one by hand
      postsync show last                 what came of it, and why
      postsync runs --state failed       what is left to be retried
      postsync status                    is it well, and what needs you?

    \b
    Each command explains itself with `--help`. For completion in bash (zsh, fish alike):
      eval "$(_POSTSYNC_COMPLETE=bash_source postsync)"

    Exit codes: 0 done; 1 refused or failed; 2 wrong usage; 3 no server answers.
    """  # noqa: D301 click's \b keeps the lines


def _print_error(error: PostsyncError) -> None:
    from receiver.cli.screen import Styled, write_line  # here, so that `--help` stays prompt

    first, *more = map(str, error.problems) if isinstance(error, RuleError) else [str(error)]
    write_line(Styled(f"postsync: {first}", "red"), err=True)
    for problem in more:
        write_line(Styled(problem, "red"), err=True)


def main() -> None:
    """Run the command line; an error of ours is one message, never a traceback."""
    try:
        cli(prog_name="postsync")
    except PostsyncError as error:
        _print_error(error)
        sys.exit(3 if isinstance(error, Unreachable) else 1)
