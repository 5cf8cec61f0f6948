"""From the death of a worker to the next attempt of what it was about, with the default lease.

A worker makes attempts whose target never answers; it is killed by signal 9, with all of its
processes, while a second one is there. The times are those of the trail.
"""

from __future__ import annotations

import os
import signal
import socket
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from hosts import Postgres, database_server, new_ledger, replicas
from loading import body_template, post
from rich.console import Console
from rich.table import Table
from stage import machine

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
RUNS = 4
PATIENCE = 120

RULES = """
version: 1
rules:
- name: hang
  match: {resources: [{kind: ConfigMap, name: config-*}]}
  actions:
  - {uses: http.request, timeout: 10m, with: {url: "http://127.0.0.1:@@PORT@@/", json: {}}}
"""
ATTEMPTS = "SELECT at FROM audit_events WHERE name = %s AND attempt = %s ORDER BY at"


@contextmanager
def silent() -> Iterator[int]:
    """A port that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield int(listener.getsockname()[1])


def taken_over(server: Postgres) -> tuple[list[float], list[float]]:
    """Seconds from the death to the loss of each attempt, and to the next one."""
    with silent() as port, new_ledger(server) as database:
        rules = RULES.replace("@@PORT@@", str(port))
        with replicas(database, rules, intakes=1, workers=1) as first:
            for number in range(RUNS):
                post(first.ports[0], body_template(), f"hang-{number}")
            _wait(database, "attempt.started", 1)
            with replicas(database, rules, intakes=0, workers=1):
                died = time.time()
                os.killpg(first.workers[0].pid, signal.SIGKILL)
                started = _wait(database, "attempt.started", 2)
                lost = _wait(database, "attempt.lost", 1)
    return [at / 1000 - died for at in lost], [at / 1000 - died for at in started]


def _wait(database: str, name: str, attempt: int) -> list[int]:
    until = time.monotonic() + PATIENCE
    with psycopg.connect(database, autocommit=True) as ledger:
        while len(found := ledger.execute(ATTEMPTS, (name, attempt)).fetchall()) < RUNS:
            if time.monotonic() > until:
                sys.exit(f"only {len(found)} of {RUNS} {name} after {PATIENCE} s")
            time.sleep(0.1)
    return [row[0] for row in found]


def main() -> None:
    lost: list[float] = []
    started: list[float] = []
    with database_server() as server:
        for number in range(ROUNDS):
            sys.stderr.write(f"round {number + 1} of {ROUNDS}\n")
            seen = taken_over(server)
            lost += seen[0]
            started += seen[1]
    table = Table("after kill -9 of a worker", title=f"Taking over; {machine()}")
    for heading in ("median s", "longest s"):
        table.add_column(heading, justify="right")
    for name, found in (("attempt given up as lost", lost), ("next attempt begun", started)):
        table.add_row(name, f"{statistics.median(found):.1f}", f"{max(found):.1f}")
    Console(width=100).print(table)


main()
