"""What the fault suite says in the end: what was sent, accepted, run, doubled and lost.

The figures travel with the tests' reports, so that they arrive from xdist's workers too.
"""

from __future__ import annotations

import os
import platform
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

KEY = "fault"
"""The name of the property of a test's report that has its figures."""
COLUMNS = ("scenario", "ledger", "faults", "seconds", "sent", "accepted", "run", "doubled", "lost")
BEGIN, END = "<!-- the table begins -->", "<!-- the table ends -->"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the long form."""
    group = parser.getgroup("faults")
    group.addoption("--minutes", type=float, default=0.0, help="Let the fault suite last so long.")
    group.addoption("--table", type=Path, help="Write the fault suite's table into this page.")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print a line for each scenario, and write the table where the long form asks for it."""
    rows = [
        dict(value)
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", "") == "call"
        for name, value in report.user_properties
        if name == KEY
    ]
    if not rows:
        return
    terminalreporter.section("faults")
    for line in aligned(rows):
        terminalreporter.write_line(line)
    page = config.getoption("--table")
    if page:
        write_table(page, rows, config.getoption("--minutes"))


def aligned(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the rows as lines of text with a head, in columns."""
    cells = [COLUMNS, *(tuple(str(row[name]) for name in COLUMNS) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if place < 2 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in cells
    ]


def write_table(page: Path, rows: Sequence[Mapping[str, Any]], minutes: float) -> None:
    """Put the rows between the two marks of a Markdown page."""
    lines = [
        f"{datetime.now(UTC):%Y-%m-%d}, {minutes:g} minutes, {_machine()}:",
        "",
        "| " + " | ".join(COLUMNS) + " |",
        "|---|---|" + "--:|" * (len(COLUMNS) - 2),
        *("| " + " | ".join(_cell(row[name]) for name in COLUMNS) + " |" for row in rows),
    ]
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n" + "\n".join(lines) + f"\n{END}{after}")


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _machine() -> str:
    return (
        f"{os.cpu_count()} cores, Python {platform.python_version()}, "
        f"SQLite {sqlite3.sqlite_version}"
    )
