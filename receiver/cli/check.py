"""`postsync check`: reports every problem of rule files."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click

from receiver.app.composition import build_outbound
from receiver.cli.screen import Styled, write_json, write_line
from receiver.core.errors import Problem, RuleError
from receiver.inspection.dry_run import DryRun, DryRunResult
from receiver.rules.expressions.cel import Expressions
from receiver.rules.handlers.registry import Registry
from receiver.rules.loading.load import RuleSet, load_rules, readings
from receiver.rules.loading.warnings import find_unconnected
from receiver.settings.loading import load_settings
from receiver.settings.model import Settings
from receiver.settings.secrets import Secrets


@click.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--output", type=click.Choice(["text", "json"]), default="text", help="The format.")
@click.option("--strict", is_flag=True, help="Exit with 1 also where there are only warnings.")
@click.option(
    "--cluster", is_flag=True,
    help="Also ask each cluster whether it would take the manifests: a dry run on the server.",
)  # fmt: skip
def check(files: tuple[Path, ...], output: str, *, cluster: bool, strict: bool) -> None:
    """Check rule FILES and folders; by default those of the settings.

    Exits 0 if they can be used, else 1 with every problem, one a line, on stderr. What can be used
    and was most likely not meant, such as a misspelt kind, is a warning there.

    With --cluster, expressions stand as placeholders, and what they leave open is noted, above all
    what depends on a namespace that is known only at run time. Where an action names no kubeconfig,
    it is the cluster that this runs in, or else that of kubectl.

    \b
      postsync check
      postsync check rules/cdn.yaml
      postsync check --cluster rules/jobs.yaml
    """  # noqa: D301 click's \b keeps the lines
    settings = load_settings() if cluster or not files else None
    paths = files or (settings.rules if settings else ())
    registry, expressions = Registry.discover(), Expressions()
    try:
        found = _with_connections(load_rules(paths, registry, expressions), settings)
    except RuleError as error:
        _write_problems(error.problems, output)
        sys.exit(1)
    dry_run = None
    if cluster and settings is not None:
        secrets, outbound = Secrets(settings.secrets), build_outbound(settings)
        dry_run = DryRun(registry, expressions, secrets, outbound).run(found)
        if dry_run.problems:
            _write_problems(dry_run.problems, output, dry_run.notes)
            sys.exit(1)
    _write_rules(found, output, dry_run)
    sys.exit(int(strict and bool(found.warnings)))


def _with_connections(found: RuleSet, settings: Settings | None) -> RuleSet:
    """Add the warnings of rules that need a connection, if the settings have none."""
    if settings is None or settings.argocd:
        return found
    warnings = [
        warning
        for reading in readings(found)
        for warning in find_unconnected(reading.document, reading.rules.items())
    ]
    return replace(found, warnings=(*found.warnings, *warnings))


def _write_problems(
    problems: Sequence[Problem], output: str, notes: Sequence[Problem] = ()
) -> None:
    if output == "json":
        result = {"problems": [asdict(problem) for problem in problems]}
        result |= {"notes": [asdict(note) for note in notes]} if notes else {}
        write_json(result)
        return
    _write_notes("note", notes)
    for problem in problems:
        place, _, rest = str(problem).partition(": ")
        write_line(Styled(place, bold=True), ": ", Styled(rest, "red"), err=True)


def _write_notes(word: str, notes: Sequence[Problem]) -> None:
    for note in notes:
        write_line(f"{word}: {note}", err=True)


def _write_rules(found: RuleSet, output: str, dry_run: DryRunResult | None) -> None:
    rules, files = len(found.rules), len(found.files)
    if output == "json":
        result: dict[str, Any] = {"rules": rules, "files": files, "digest": found.digest}
        result["warnings"] = [asdict(warning) for warning in found.warnings]
        if dry_run is not None:
            notes = [asdict(note) for note in dry_run.notes]
            result |= {"dryRuns": dry_run.tried, "notes": notes}
        write_json(result)
        return
    _write_notes("warning", found.warnings)
    _write_notes("note", dry_run.notes if dry_run else ())
    write_line(
        f"{_plural(rules, 'rule')} in {_plural(files, 'file')}, digest {found.digest[:12]}"
        + (f", {_plural(dry_run.tried, 'dry run')}" if dry_run else "")
    )


def _plural(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
