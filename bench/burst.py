"""5,000 notifications in 10 seconds, and how long it takes until all that they ask for is done.

Each is another sync with one action, sent at its own moment whether those before were answered
or not, as many Argo CD instances would.
"""

from __future__ import annotations

import os
import sqlite3
import statistics
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count

import psycopg
from hosts import Postgres, database_server, new_ledger, replicas
from loading import TELL, body_template, post
from rich.console import Console
from rich.table import Table
from stage import machine, ours

SECONDS = int(os.environ.get("BENCH_SECONDS", "10"))
SENT = 500 * SECONDS
THREADS = 64
PATIENCE = 600

DONE = "SELECT COUNT(*) FROM runs WHERE state = 'succeeded'"


@dataclass(frozen=True)
class Burst:
    """Seconds of the sending, of each answer, until all was done; and what was not a 202."""

    sending: float
    answers: list[float]
    refused: int
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
    body = body_template()
    numbers, answers, refused = count(), list[float](), list[int]()
    began = time.monotonic()

    def send() -> None:
        while (number := next(numbers)) < SENT:
            time.sleep(max(0.0, began + number * SECONDS / SENT - time.monotonic()))
            asked = time.monotonic()
            status = post(ports[number % len(ports)], body, f"burst-{number}")
            answers.append(time.monotonic() - asked)
            if status != 202:
                refused.append(status)

    threads = [threading.Thread(target=send) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sending = time.monotonic() - began
    while (so_far := done()) < SENT - len(refused):
        if time.monotonic() > began + PATIENCE:
            sys.exit(f"{so_far} of {SENT} after {PATIENCE} s")
        time.sleep(0.1)
    return Burst(sending, sorted(answers), len(refused), time.monotonic() - began)


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
                f"{seen.sending:.1f}",
                str(seen.refused),
                f"{statistics.median(seen.answers) * 1000:.0f}",
                f"{seen.answers[int(len(seen.answers) * 0.99) - 1] * 1000:.0f}",
                f"{seen.emptied:.1f}",
            )
    Console(width=100).print(table)


main()
