"""What it costs to have it: start to ready, idle memory and CPU, 202 to the first attempt.

On PostgreSQL there are one intake and one worker, and the database's server counts.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from hosts import Postgres, database_server, new_ledger, replicas
from loading import TELL, body_template, post
from rich.console import Console
from rich.table import Table
from stage import cpu, machine, memory, ours, tree

IDLE = int(os.environ.get("BENCH_SECONDS", "20"))
SAMPLES = 200


FIRST_ATTEMPTS = (
    "SELECT MIN(started.at) - accepted.at FROM audit_events accepted "
    "JOIN audit_events started ON started.sync_id = accepted.sync_id "
    "AND started.name = 'attempt.started' "
    "WHERE accepted.name = 'notification.accepted' GROUP BY accepted.sync_id, accepted.at"
)
"""Milliseconds from the trail's accepted line (after its commit began) to the attempt's."""


@dataclass(frozen=True)
class Cost:
    """Of one engine: seconds, number, megabytes, part of a core, milliseconds."""

    ready: float
    processes: int
    memory: float
    cpu: float
    latencies: Sequence[int]


def on_sqlite() -> Cost:
    began = time.monotonic()
    with ours(TELL) as (port, home, process):
        ready = time.monotonic() - began
        idle = _idle([process.pid])
        _send_all(port)
        ledger = sqlite3.connect(home / "ledger.db")
        return Cost(ready, *idle, sorted(row[0] for row in ledger.execute(FIRST_ATTEMPTS)))


def on_postgresql(server: Postgres) -> Cost:
    with new_ledger(server) as database:
        began = time.monotonic()
        with replicas(database, TELL, intakes=1, workers=1) as started:
            ready = time.monotonic() - began
            assert server.process
            own = (*started.intakes, *started.workers, server.process)
            idle = _idle([process.pid for process in own])
            _send_all(started.ports[0])
            with psycopg.connect(database) as ledger:
                found = ledger.execute(FIRST_ATTEMPTS).fetchall()
            return Cost(ready, *idle, sorted(row[0] for row in found))


def _idle(pids: Sequence[int]) -> tuple[int, float, float]:
    time.sleep(2)
    used, spent = sum(map(memory, pids)), sum(map(cpu, pids))
    time.sleep(IDLE)
    processes = sum(len(tree(pid)) for pid in pids)
    return processes, used, (sum(map(cpu, pids)) - spent) / IDLE


def _send_all(port: int) -> None:
    body = body_template()
    for number in range(SAMPLES):
        post(port, body, f"latency-{number}")
        time.sleep(0.05)
    time.sleep(1)


def main() -> None:
    with database_server() as server:
        costs = [on_sqlite(), on_postgresql(server)]
    table = Table("", title=f"Footprint; {machine()}")
    for engine in ("SQLite", "PostgreSQL"):
        table.add_column(engine, justify="right")
    table.add_row("start to ready, rules loaded", *(f"{one.ready:.2f} s" for one in costs))
    table.add_row("processes", *(str(one.processes) for one in costs))
    table.add_row("idle memory (PSS)", *(f"{one.memory:.0f} MB" for one in costs))
    table.add_row("idle CPU", *(f"{one.cpu * 100:.2f} % of a core" for one in costs))
    for name, part in (("p50", 0.5), ("p99", 0.99)):
        found = (f"{one.latencies[round(len(one.latencies) * part) - 1]} ms" for one in costs)
        table.add_row(f"202 to the first attempt, {name}", *found)
    Console(width=100).print(table)


main()
