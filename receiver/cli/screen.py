"""All output of the commands, with control characters escaped."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import click

from receiver.core.terminal_text import escape_controls

Row = TypeVar("Row")

UNBOUNDED = 1000
"""Columns where there is no terminal: a row is one line of the pipe, uncut."""


@dataclass(frozen=True, slots=True)
class Styled:
    """A part of a line with a colour or in bold, on a terminal."""

    text: str
    colour: str | None = None
    bold: bool = False


Part: TypeAlias = str | Styled
Line: TypeAlias = tuple[Part, ...]


def write_line(*parts: Part, err: bool = False) -> None:
    """Write one line; a line break in a part does not end it."""
    click.echo("".join(map(_escaped, parts)), err=err)


def write_text(text: str, *, err: bool = False) -> None:
    """Write a text whose line breaks are our own."""
    for line in text.removesuffix("\n").split("\n"):
        write_line(line, err=err)


def write_json(value: Any, *, indent: int | None = 2) -> None:
    """Write JSON for programs, in ASCII; on a terminal that is escaped enough."""
    click.echo(json.dumps(value, indent=indent).replace("\x7f", "\\u007f"))


def overwrite_line(text: str) -> None:
    """Write a line on stderr over the one that was written so before."""
    click.echo("\r\x1b[K" + escape_controls(text), nl=False, err=True)


def confirm(question: str) -> None:
    """Ask on stderr; only a yes goes on. Where nobody can answer, it names the option for that.

    Raises:
        click.Abort: it was declined, or not answered.
    """
    try:
        agreed = click.confirm(escape_controls(question), err=True)
    except click.Abort:
        if not sys.stdin.isatty():
            write_line(err=True)
            write_line("nobody has answered; with --yes it does not ask", err=True)
        raise
    if not agreed:
        raise click.Abort


def write_answer(answer: Any, output: str, *lines: str) -> None:
    """Write the server's answer as JSON, or these lines."""
    if output == "json":
        write_json(answer)
        return
    for line in lines:
        write_line(line)


def write_rows(
    rows: Sequence[Row], output: str, nothing: str, cells: Callable[[Row], dict[str, str]],
    folding: Container[str],
) -> None:  # fmt: skip
    """Write the server's rows as JSON or as a table; ``nothing`` if there are none.

    ``cells`` gives a row's texts by their headings. Only the columns of ``folding`` fold: an id
    that is cut cannot be copied.
    """
    if output == "json":
        write_json(rows)
        return
    if not rows:
        write_line(nothing)
        return
    from rich.console import Console  # here, since few commands need it
    from rich.table import Table

    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = UNBOUNDED
    table = Table(box=None, pad_edge=False)
    for heading in cells(rows[0]):
        table.add_column(heading, no_wrap=heading not in folding, overflow="fold")
    for row in rows:
        table.add_row(*map(escape_controls, cells(row).values()))
    console.print(table)


def _escaped(part: Part) -> str:
    if isinstance(part, str):
        return escape_controls(part)
    return click.style(escape_controls(part.text), fg=part.colour, bold=part.bold or None)
