"""What traces cost: CPU of one notification with one HTTP call, without them and with.

The collector is an nginx that takes what is sent and answers 204; its own CPU does not count. With
a sampler that writes one trace of ten, too.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from functools import partial

from delivery import ROUNDS, SECONDS, Result, full_load, on_sqlite
from rich.console import Console
from rich.table import Table
from stage import in_turns, machine, medians, need, target

TENTH = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.1"}


def traced(environ: Mapping[str, str]) -> Result:
    with target("204") as (port, _):
        endpoint = f"http://127.0.0.1:{port}"
        on = {"POSTSYNC_TRACING": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
        with on_sqlite(**on, **environ) as subject:
            return full_load(subject, SECONDS)


def untraced() -> Result:
    with on_sqlite() as subject:
        return full_load(subject, SECONDS)


def main() -> None:
    need("wrk", "nginx")
    subjects: dict[str, Callable[[], Result]] = {
        "off": untraced,
        "one trace of ten": partial(traced, TENTH),
        "on": partial(traced, {}),
    }
    rounds = in_turns(subjects, ROUNDS)
    table = Table(title=f"Traces, under full load for {SECONDS} s, on SQLite; {machine()}")
    for heading in ("", "accepted/s", "delivered/s", "memory MB", "CPU ms: intake + dispatcher"):
        table.add_column(heading, justify="left" if not heading else "right")
    for name, items in rounds.items():
        costs = medians([item.costs for item in items]).values()
        table.add_row(
            name,
            f"{statistics.median(item.accepted for item in items):.0f}",
            f"{statistics.median(item.delivered for item in items):.0f}",
            f"{max(item.memory for item in items):.0f}",
            " + ".join(f"{cost.cpu:.2f}" for cost in costs),
        )
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
