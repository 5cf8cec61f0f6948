"""What bounds the aims of summary.py that are not reached, by measurement.

    python bench/bounds.py [--write]

Who has the cores under full load (`budget.py`); floors: the same rows written and the same calls
made by the drivers alone, under the yardstick's own server (`floors.py`); the CPU of one
notification by stage (`clocks.py`); and the pages that one run writes, by table and index
(`written.py`). All loads take turns (`bounds_loads.py`).
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

from bounds_measured import ROUNDS, SECONDS, Found, measure
from bounds_sentences import sentences
from bounds_tables import tables
from rich.console import Console
from rich.table import Table
from stage import machine, need, write_between

MARKS = "<!-- bounds: written by bounds.py -->\n", "<!-- end of the bounds -->\n"


def markdown(found: Found) -> str:
    others = max(one.cores.get("others", 0.0) for one in found.loads.values())
    head = (
        f"Of {datetime.now(UTC):%Y-%m-%d}, {machine()}. Rounds in turns: {ROUNDS}, of {SECONDS} s "
        f"each; medians. Others had up to {others:.1f} of the cores meanwhile.\n\n"
    )
    text = head + "".join(f"- {one}\n" for one in sentences(found))
    for headings, *rows in tables(found):
        lines = [headings, ["---", *["---:"] * (len(headings) - 1)], *rows]
        text += "\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)
    return text


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--write", action="store_true")
    asked = options.parse_args()
    need("wrk", "webhook", "nginx", "curl", "taskset")
    found = measure()
    console = Console(width=160)
    for headings, *rows in tables(found):
        table = Table(*headings)
        for column in table.columns[1:]:
            column.justify = "right"
        for row in rows:
            table.add_row(*row)
        console.print(table)
    for one in sentences(found):
        console.print(one.replace("**", ""))
    if asked.write:
        write_between(MARKS, markdown(found))


if __name__ == "__main__":
    main()
