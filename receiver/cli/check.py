"""`postsync check`: reports every problem of rule files."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import click

from receiver.app.outbound import build_outbound
from receiver.cli import options
from receiver.cli.check_connections import CheckedConnections, check_connections, sender_warnings
from receiver.cli.check_secrets import secret_warnings
from receiver.cli.screen import Styled, write_json, write_line
from receiver.core.errors import Problem, RuleError
from receiver.core.plural import plural
from receiver.inspection.dry_run import DryRun, DryRunResult
from receiver.rules.expressions.cel import Expressions
from receiver.rules.handlers.registry import Registry
from receiver.rules.loading.load import RuleSet, load_rules
from receiver.settings.loading import load_settings, settings_if_any
from receiver.settings.model import Settings
from receiver.settings.secrets import Secrets
from receiver.settings.tenants import tenants_of


@click.command()
@options.rule_files
@click.option("--output", type=click.Choice(["text", "json"]), default="text", help="The format.")
@options.settings
@click.option("--strict", is_flag=True, help="Exit with 1 also where there are only warnings.")
@click.option("--cluster", is_flag=True, help="Also ask each cluster, and try the connections.")
def check(
    *, files: tuple[Path, ...], output: str, settings_file: Path | None, cluster: bool, strict: bool
) -> None:
    """Check rule FILES and folders; by default those of the settings.

    Exits 0 if they can be used, else 1 with every problem, one a line, on stderr. What can be used
    and was most likely not meant is a warning there, such as a misspelt kind or, with settings, a
    rule that needs a connection where there is none, or a secret that is not there.

    With --cluster, expressions stand as placeholders, and what they leave open is noted. Where an
    action names no kubeconfig, it is the cluster that this runs in, or else that of kubectl. The
    connections, to Argo CD and to tenants' rules, are tried, and rights that lack are named.

    \b
      postsync check
      postsync check rules/cdn.yaml
      postsync check --cluster rules/jobs.yaml
    """  # noqa: D301 click's \b keeps the lines
    needed = cluster or not files
    settings = load_settings(settings_file) if needed else settings_if_any(settings_file)
    registry, expressions = Registry.discover(), Expressions()
    try:
        found = _load(files, settings, registry, expressions)
    except RuleError as error:
        _write_problems(error.problems, output)
        sys.exit(1)
    asked = None
    if cluster and settings is not None:
        asked = _ask_clusters(found, settings, registry, expressions)
        if asked.problems:
            _write_refused(found, asked, output)
            sys.exit(1)
    (_write_json if output == "json" else _write_text)(found, asked)
    sys.exit(int(strict and bool(found.warnings)))


def _load(
    files: Sequence[Path], settings: Settings | None, registry: Registry, expressions: Expressions
) -> RuleSet:
    """Load the rules; without settings nobody knows which senders have a connection."""
    if settings is None:
        return load_rules(files, registry, expressions)
    connected = bool(settings.argocd)
    found = load_rules(
        files or settings.rules, registry, expressions, connected=connected, in_force=not files,
        tenants=tenants_of(settings.tenants) if settings.tenants else None,
    )  # fmt: skip
    more = (*sender_warnings(settings), *secret_warnings(found, settings))
    return replace(found, warnings=(*found.warnings, *more))


@dataclass(frozen=True, slots=True)
class _Asked:
    """What clusters said to the manifests, and what the connections showed."""

    dry_run: DryRunResult
    connections: CheckedConnections

    @property
    def problems(self) -> list[Problem]:
        return [*self.dry_run.problems, *self.connections.problems]

    @property
    def notes(self) -> list[Problem]:
        return [*self.dry_run.notes, *self.connections.notes]


def _ask_clusters(
    found: RuleSet, settings: Settings, registry: Registry, expressions: Expressions
) -> _Asked:
    outbound = build_outbound(settings)
    dry_run = DryRun(registry, expressions, Secrets(settings.secrets), outbound)
    return _Asked(dry_run.run(found), check_connections(settings, outbound))


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


def _write_refused(found: RuleSet, asked: _Asked, output: str) -> None:
    if output == "text":
        _write_counts(found, asked)
    _write_problems(asked.problems, output, asked.notes)


def _write_notes(word: str, notes: Sequence[Problem]) -> None:
    for note in notes:
        write_line(f"{word}: {note}", err=True)


def _write_json(found: RuleSet, asked: _Asked | None) -> None:
    result: dict[str, Any] = {"rules": len(found.rules), "files": len(found.files)}
    result["digest"] = found.digest
    result["warnings"] = [asdict(warning) for warning in found.warnings]
    if asked is not None:
        result["dryRuns"] = asked.dry_run.tried
        result["notes"] = [asdict(note) for note in asked.notes]
        result |= asked.connections.as_json()
    write_json(result)


def _write_text(found: RuleSet, asked: _Asked | None) -> None:
    _write_notes("warning", found.warnings)
    _write_notes("note", asked.notes if asked else ())
    _write_counts(found, asked)


def _write_counts(found: RuleSet, asked: _Asked | None) -> None:
    """Write how much was looked at: rules, dry runs, and Applications by each connection."""
    rules, files = plural(len(found.rules), "rule"), plural(len(found.files), "file")
    line = f"{rules} in {files}, digest {found.digest[:12]}"
    write_line(line + (f", {plural(asked.dry_run.tried, 'dry run')}" if asked else ""))
    for shown in asked.connections.counts if asked else ():
        write_line(shown)
