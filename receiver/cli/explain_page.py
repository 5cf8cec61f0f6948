"""Prints an explanation: a table of rules by resources, and what would run."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from receiver.core.terminal_text import escape_controls
from receiver.inspection.explained import ExplainedSync, FindingTold, RuleTold, StepTold
from receiver.rules.matching.findings import Verdict

STYLES = {Verdict.MATCHED: "green", Verdict.REFUSED: "dim", Verdict.ERROR: "red"}
FALLBACK = (120, 40)
"""Columns and lines where there is no terminal; COLUMNS sets it otherwise."""
CELL = 24
"""A narrower cell breaks its reason into too many lines to be read."""


class Page:
    """The page of one sync, on standard output; colours on a terminal only."""

    def __init__(self, found: ExplainedSync) -> None:
        """Take what is to be shown."""
        width = shutil.get_terminal_size(FALLBACK).columns
        self._console = Console(width=width, highlight=False)
        self._found = found
        self._names = {one["resource"]: escape_controls(one["name"]) for one in found["resources"]}

    def show(self) -> None:
        """Draw everything."""
        self._head()
        rules = self._found["rules"]
        asked = [rule for rule in rules if rule["resources"] or rule["more"]]
        if asked and self._fits(asked):
            self._console.print(self._table(asked))
        else:
            for rule in asked:
                self._show_list(rule)
        self._list_whole([rule for rule in rules if rule not in asked])
        self._would_run([rule for rule in rules if rule["verdict"] == Verdict.MATCHED])
        for note in self._found["notes"]:
            self._console.print()
            self._print(f"Note: {note}", "dim")

    def _head(self) -> None:
        found = self._found
        count = found["listed"]
        words = [
            f"{found['application']}: {found['phase'] or 'no operation'}",
            f"channel {found['channel']}",
            *found["about"],
            f"{count} {'resource' if count == 1 else 'resources'}",
        ]
        self._print(", ".join(words), "bold")

    def _fits(self, asked: Sequence[RuleTold]) -> bool:
        """Whether the rules fit beside one another: each on all resources, in few columns."""
        listed = self._found["listed"]
        if any(len(rule["resources"]) != listed for rule in asked):
            return False
        widest = min(max(map(len, self._names.values())), 2 * CELL)
        return widest + len(asked) * (CELL + 3) + 4 <= self._console.width

    def _table(self, asked: Sequence[RuleTold]) -> Table:
        table = Table(show_lines=True)
        table.add_column("resource", max_width=2 * CELL, overflow="fold")
        for rule in asked:
            table.add_column(Text(escape_controls(rule["rule"])), min_width=CELL, overflow="fold")
        for number, one in enumerate(self._found["resources"]):
            cells = (cell(rule["resources"][number]) for rule in asked)
            table.add_row(Text(escape_controls(one["name"])), *cells)
        return table

    def _show_list(self, rule: RuleTold) -> None:
        """Draw one rule by itself: many do not fit beside one another."""
        self._title(rule["rule"])
        self._console.print(Padding(self._list(rule["resources"]), (0, 0, 0, 2)))
        if rule["more"]:
            counts = ", ".join(f"{count} {verdict}" for verdict, count in rule["more"].items())
            self._print(f"and more: {counts} (see --rule, --resource)", "dim", indent=2)

    def _list(self, findings: Sequence[FindingTold]) -> Table:
        table = Table.grid(padding=(0, 2))
        table.add_column(max_width=2 * CELL, overflow="fold")
        table.add_column(overflow="fold")
        for finding in findings:
            table.add_row(Text(self._names[finding["resource"]]), cell(finding))
        return table

    def _list_whole(self, rules: Sequence[RuleTold]) -> None:
        """Draw the rules that were decided without their resources, a line each."""
        if rules:
            self._title("Rules decided by the sync itself")
        for rule in rules:
            text = f"{rule['rule']}: {finding_text(rule)}"
            self._print(text, STYLES[Verdict(rule["verdict"])], indent=2)

    def _would_run(self, matched: Sequence[RuleTold]) -> None:
        self._title("What would run" if matched else "Nothing would run")
        for rule in matched:
            observed = " (observe: sends nothing)" if rule["mode"] == "observe" else ""
            self._print(f"{rule['rule']}{observed}", indent=2)
            for term in rule["terms"]:
                self._print(term, indent=4)
            for step in rule["wouldRun"]:
                self._print(step_text(step), "green", indent=4)

    def _title(self, text: str) -> None:
        self._console.print()
        self._print(text, "bold")

    def _print(self, text: str, style: str = "", *, indent: int = 0) -> None:
        self._console.print(
            Padding(Text(escape_controls(text), style=style), (0, 0, 0, indent), expand=False)
        )


def cell(finding: FindingTold) -> Text:
    """Return a resource's finding as a cell."""
    style = STYLES[Verdict(finding["verdict"])]
    return Text(escape_controls(finding_text(finding)), style=style)


def finding_text(finding: FindingTold | RuleTold) -> str:
    """Return a finding's text for a place where its rule and resource stand beside it."""
    if finding["verdict"] != Verdict.MATCHED:
        return finding["reason"]
    return f"matched by {finding['field']}: {finding['saw']}" if finding["saw"] else "matched"


def step_text(step: StepTold) -> str:
    """Return a step as one line."""
    count = f" of {len(step['targets']) + step['more']}" if step["target"] == "batch" else ""
    more = f" and {step['more']} more" if step["more"] else ""
    name = step["action"] if step["action"] != step["uses"].replace(".", "_") else ""
    words = [f"wave {step['wave']}:", name, step["uses"], f"-> {step['target']}{count}:"]
    only = f" ({'; '.join(step['only'])})" if step["only"] else ""
    return " ".join(filter(None, words)) + f" {', '.join(step['targets'])}{more}{only}"
