"""5,000 notifications in 10 seconds, and how long it takes until all that they ask for is done.

Each is another sync with one action, sent at its own moment whether those before were answered
or not, as many Argo CD instances would.
"""

from __future__ import annotations

import os
import sqlite3
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import psycopg
from hosts import Postgres, database_server, new_ledger, replicas
from loading import TELL, Paced, paced
from rich.console import Console
from rich.table import Table
from stage import machine, ours

SECONDS = int(os.environ.get("BENCH_SECONDS", "10"))
SENT = 500 * SECONDS
PATIENCE = 600

DONE = "SELECT COUNT(*) FROM runs WHERE state = 'succeeded'"


@dataclass(frozen=True)
class Burst:
    """What was sent, and the seconds until all was done."""

    sent: Paced
    emptied: float


def sqlite() -> Burst:
    with ours(TELL) as (port, home, _):
        ledger = sqlite3.connect(home / "ledger.db")
        return burst([port], lambda: int(ledger.execute(DONE).fetchone()[0]))


def postgresql(server: Postgres, intakes: int, workers: int) -> Burst:
    with (
        new_ledger(server) as database,
        replicas(database, TELL, intakes=intakes, workers=workers) as started,
        psycopg.connect(database, autocommit=True) as ledger,
    ):
        return burst(list(started.ports), partial(_done, ledger))


def _done(ledger: psycopg.Connection) -> int:
    row = ledger.execute(DONE).fetchone()
    return int(row[0]) if row else 0


def burst(ports: list[int], done: Callable[[], int]) -> Burst:
    began = time.monotonic()
    sent = paced(ports, SENT, SENT / SECONDS, tag="burst-")
    while (so_far := done()) < SENT - sent.refused:
        if time.monotonic() > began + PATIENCE:
            sys.exit(f"{so_far} of {SENT} after {PATIENCE} s")
        time.sleep(0.1)
    return Burst(sent, time.monotonic() - began)


def main() -> None:
    with database_server() as server:
        subjects: dict[str, Callable[[], Burst]] = {
            "SQLite": sqlite,
            "PostgreSQL, 1 intake, 1 worker": partial(postgresql, server, 1, 1),
            "PostgreSQL, 2 intakes, 2 workers": partial(postgresql, server, 2, 2),
        }
        table = Table("", title=f"{SENT:,} notifications in {SECONDS} s; {machine()}")
        for heading in ("sent in s", "not 202", "p50 ms", "p99 ms", "all done after s"):
            table.add_column(heading, justify="right")
        for name, run in subjects.items():
            sys.stderr.write(f"{name}\n")
            seen = run()
            table.add_row(
                name,
                f"{seen.sent.seconds:.1f}",
                str(seen.sent.refused),
                f"{statistics.median(seen.sent.answers) * 1000:.0f}",
                f"{seen.sent.answers[int(len(seen.sent.answers) * 0.99) - 1] * 1000:.0f}",
                f"{seen.emptied:.1f}",
            )
    Console(width=100).print(table)


main()
