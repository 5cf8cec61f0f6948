"""All output of the commands, with control characters escaped."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, TypeAlias

import click

from receiver.core.terminal_text import escape_controls


@dataclass(frozen=True, slots=True)
class Styled:
    """A part of a line with a colour or in bold, on a terminal."""

    text: str
    colour: str | None = None
    bold: bool = False


Part: TypeAlias = str | Styled


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
    """Ask on stderr; only a yes goes on.

    Raises:
        click.Abort: it was declined.
    """
    click.confirm(escape_controls(question), abort=True, err=True)


def _escaped(part: Part) -> str:
    if isinstance(part, str):
        return escape_controls(part)
    return click.style(escape_controls(part.text), fg=part.colour, bold=part.bold or None)
