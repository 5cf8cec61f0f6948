"""postsync check: what is wrong with rule files, all at once."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from receiver.errors import Problem, RuleError
from receiver.expressions import Expressions
from receiver.registry import Registry
from receiver.rulebook import RuleSet, load_rules
from receiver.settings import load_settings


@click.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--output", type=click.Choice(["text", "json"]), default="text", help="The format.")
def check(files: tuple[Path, ...], output: str) -> None:
    """Check rule FILES and folders; by default those of the settings.

    Exits 0 if they can be used, else 1 with every problem, one a line, on stderr.

    \b
      postsync check
      postsync check rules/cdn.yaml
    """  # noqa: D301 click's \b keeps the lines
    paths = files or load_settings().rules
    try:
        found = load_rules(paths, Registry.discover(), Expressions())
    except RuleError as error:
        _tell_problems(error.problems, output)
        sys.exit(1)
    _tell_rules(found, output)


def _tell_problems(problems: tuple[Problem, ...], output: str) -> None:
    if output == "json":
        click.echo(json.dumps({"problems": [asdict(problem) for problem in problems]}, indent=2))
        return
    for problem in problems:
        click.echo(_line(problem), err=True)  # click leaves out colours where there is no terminal


def _line(problem: Problem) -> str:
    place, _, rest = str(problem).partition(": ")
    return f"{click.style(place, bold=True)}: {click.style(rest, fg='red')}"


def _tell_rules(found: RuleSet, output: str) -> None:
    rules, files = len(found.rules), len(found.files)
    if output == "json":
        click.echo(json.dumps({"rules": rules, "files": files, "digest": found.digest}, indent=2))
        return
    click.echo(
        f"{rules} {'rule' if rules == 1 else 'rules'} in {files} "
        f"{'file' if files == 1 else 'files'}, digest {found.digest[:12]}"
    )
