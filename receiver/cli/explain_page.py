"""Prints an explanation: a table of rules by resources, and what would run."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from receiver.cli.explain_steps import Step, steps, terms
from receiver.core.model import Sync
from receiver.core.terminal_text import escape_controls
from receiver.rules.matching.explanation import RuleExplanation, describe, excerpt, quota
from receiver.rules.matching.findings import Finding, Verdict

STYLES = {Verdict.MATCHED: "green", Verdict.REFUSED: "dim", Verdict.ERROR: "red"}
FALLBACK = (120, 40)
"""Columns and lines where there is no terminal; COLUMNS sets it otherwise."""
CELL = 24
"""A narrower cell breaks its reason into too many lines to be read."""


class Page:
    """The page of one sync, on standard output; colours on a terminal only."""

    def __init__(self, sync: Sync, resource: str = "") -> None:
        """Take the sync, and the key of the only resource that is shown."""
        width = shutil.get_terminal_size(FALLBACK).columns
        self._console = Console(width=width, highlight=False)
        self._sync = sync
        self._resource = resource
        self._names = [escape_controls(describe(resource)) for resource in sync.resources]

    def show(self, explained: Sequence[RuleExplanation], notes: Iterable[str]) -> None:
        """Draw everything."""
        self._head()
        asked = [item for item in explained if item.resources]
        if asked and not self._resource and self._fits(len(asked)):
            self._console.print(self._table(asked))
        else:
            for item in asked:
                self._show_list(item, len(asked))
        self._list_whole([item for item in explained if not item.resources])
        self._would_run([item for item in explained if item.matched], quota(len(explained)))
        for note in notes:
            self._console.print()
            self._print(f"Note: {note}", "dim")

    def _head(self) -> None:
        sync = self._sync
        flags = [word for word, on in (("dry run", sync.dry_run), ("selective", sync.selective),
                 (f"retried {sync.retry_count} times", sync.retry_count)) if on]  # fmt: skip
        count = len(sync.resources)
        words = [
            f"{sync.application.key}: {sync.phase or 'no operation'}",
            f"channel {sync.channel}",
            *flags,
            f"{count} {'resource' if count == 1 else 'resources'}",
        ]
        self._print(", ".join(words), "bold")

    def _fits(self, rules: int) -> bool:
        if len(self._names) > quota(rules):
            return False
        widest = min(max(map(len, self._names)), 2 * CELL)
        return widest + rules * (CELL + 3) + 4 <= self._console.width

    def _table(self, asked: Sequence[RuleExplanation]) -> Table:
        table = Table(show_lines=True)
        table.add_column("resource", max_width=2 * CELL, overflow="fold")
        for item in asked:
            table.add_column(Text(escape_controls(item.rule.name)), min_width=CELL, overflow="fold")
        for number, name in enumerate(self._names):
            table.add_row(Text(name), *(cell(item.resources[number]) for item in asked))
        return table

    def _show_list(self, item: RuleExplanation, rules: int) -> None:
        """Draw one rule by itself: many do not fit beside one another."""
        shown = excerpt(item, self._sync.resources, rules, self._resource)
        self._title(item.rule.name)
        self._console.print(Padding(self._list(shown.findings), (0, 0, 0, 2)))
        if shown.more:
            counts = ", ".join(f"{count} {verdict}" for verdict, count in shown.more.items())
            self._print(f"and more: {counts} (see --rule, --resource)", "dim", indent=2)

    def _list(self, findings: Mapping[int, Finding]) -> Table:
        table = Table.grid(padding=(0, 2))
        table.add_column(max_width=2 * CELL, overflow="fold")
        table.add_column(overflow="fold")
        for number, finding in findings.items():
            table.add_row(Text(self._names[number]), cell(finding))
        return table

    def _list_whole(self, items: Sequence[RuleExplanation]) -> None:
        """Draw the rules that were decided without their resources, a line each."""
        if items:
            self._title("Rules decided by the sync itself")
        for item in items:
            finding = item.finding
            self._print(
                f"{item.rule.name}: {finding_text(finding)}", STYLES[finding.verdict], indent=2
            )

    def _would_run(self, matched: Sequence[RuleExplanation], most: int) -> None:
        self._title("What would run" if matched else "Nothing would run")
        for item in matched:
            observed = " (observe: sends nothing)" if item.rule.mode == "observe" else ""
            self._print(f"{item.rule.name}{observed}", indent=2)
            for term in terms(item):
                self._print(term, indent=4)
            for step in steps(item, self._sync, most):
                self._print(step_text(step), "green", indent=4)

    def _title(self, text: str) -> None:
        self._console.print()
        self._print(text, "bold")

    def _print(self, text: str, style: str = "", *, indent: int = 0) -> None:
        self._console.print(
            Padding(Text(escape_controls(text), style=style), (0, 0, 0, indent), expand=False)
        )


def cell(finding: Finding) -> Text:
    """Return a resource's finding as a cell."""
    return Text(escape_controls(finding_text(finding)), style=STYLES[finding.verdict])


def finding_text(finding: Finding) -> str:
    """Return a finding's text for a place where its rule and resource stand beside it."""
    if finding.verdict is not Verdict.MATCHED:
        return finding.reason
    return f"matched by {finding.field}: {finding.saw}" if finding.saw else "matched"


def step_text(step: Step) -> str:
    """Return a step as one line."""
    count = f" of {len(step.targets) + step.more}" if step.target == "batch" else ""
    more = f" and {step.more} more" if step.more else ""
    name = step.action if step.action != step.uses.replace(".", "_") else ""
    words = [f"wave {step.wave}:", name, step.uses, f"-> {step.target}{count}:"]
    only = f" ({'; '.join(step.only)})" if step.only else ""
    return " ".join(filter(None, words)) + f" {', '.join(step.targets)}{more}{only}"
