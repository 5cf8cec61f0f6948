"""The page of every command with its arguments and options, as `--help` has them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from receiver.cli import TOPICS, cli

HEAD = """# Options of the commands

What `postsync COMMAND --help` says, of all commands. [Commands](commands.md) has examples, and what
comes of them.

"""


def page() -> str:
    """Return the page without the line that says who made it."""
    return HEAD + "\n".join(line for topic in TOPICS for line in _topic(topic))


def _topic(topic: str) -> Iterator[str]:
    yield from (f"## {topic}", "")
    for name in TOPICS[topic]:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None  # noqa: S101 each is there
        yield from _section(name, command)


def _section(name: str, command: click.Command) -> Iterator[str]:
    context = click.Context(command, info_name=f"postsync {name}")
    about, _, examples = inspect.cleandoc(command.help or "").partition("\n\n\b\n")
    usage = " ".join(command.collect_usage_pieces(context))
    yield from (f"### {name}", "", about, "", "```sh", f"postsync {name} {usage}".rstrip())
    yield from (line.strip() for line in examples.splitlines() if line.strip())
    yield from ("```", "")
    options = [one for one in command.params if isinstance(one, click.Option) and not one.hidden]
    if options:
        yield from ("| option | takes | |", "|---|---|---|")
        yield from (_row(one, context) for one in options)
        yield ""


def _row(option: click.Option, context: click.Context) -> str:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    takes = "" if option.is_flag else f"`{option.make_metavar(context)}`"
    cells = (names, takes, option.help or "")
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"
