"""What a notification costs on an empty ledger, and on one with a million runs.

The same load goes to both in turns; a notification has cost what passes, and what CPU is spent,
until all that it asked for is done. The ledger is filled by SQL with copies of a sync that has
ended, of ten runs, over 500 applications.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from filling import fill
from hosts import Postgres, database_server, new_ledger, replicas
from loading import TELL, body_template, load, post
from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, create_engine, text
from stage import cpu, machine, need, ours

from receiver.ledger import tables

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
SECONDS = int(os.environ.get("BENCH_SECONDS", "4"))
RUNS = int(os.environ.get("BENCH_RUNS", "1000000"))
EACH = 10
"""Runs of each sync that the ledger is filled with."""
PATIENCE = 300

MANY = """\
- name: many
  match: {application: {name: shop-fill}, resources: [{kind: ConfigMap}]}
  actions:
"""
RULES = f"{TELL}{MANY}" + "".join(
    f"  - {{name: n{number}, uses: log.message, with: {{text: x}}}}\n" for number in range(EACH - 1)
)

SYNC = "SELECT id FROM syncs WHERE application = 'argocd/shop-fill' AND state = 'planned'"
LEFT = (
    f"SELECT (SELECT COUNT(*) FROM syncs WHERE {tables.NEW_SYNC})"
    f" + (SELECT COUNT(*) FROM plans WHERE {tables.STARTED_PLAN})"
)


@dataclass(frozen=True)
class Subject:
    """A service, by its port, its processes and a look into its ledger."""

    port: int
    pids: tuple[int, ...]
    engine: Engine


@dataclass(frozen=True)
class Cost:
    """Milliseconds of one notification: that pass, and of CPU."""

    passed: float
    spent: float


@contextmanager
def sqlite() -> Iterator[Subject]:
    with ours(RULES) as (port, home, process):
        engine = create_engine(
            f"sqlite:///{home / 'ledger.db'}", connect_args={"timeout": 60}, echo=False
        )
        yield Subject(port, (process.pid,), engine)


@contextmanager
def postgresql(server: Postgres) -> Iterator[Subject]:
    with (
        new_ledger(server) as database,
        replicas(database, RULES, intakes=1, workers=1) as started,
    ):
        assert server.process
        engine = create_engine(database.replace("postgresql:", "postgresql+psycopg:"))
        pids = (*started.intakes, *started.workers, server.process)
        yield Subject(started.ports[0], tuple(process.pid for process in pids), engine)
        engine.dispose()


def grow(subject: Subject) -> None:
    post(subject.port, body_template(), "fill")
    _until_done(subject)
    with subject.engine.connect() as connection:
        sync = connection.execute(text(SYNC)).scalar_one()
    fill(subject.engine, sync, RUNS // EACH)
    if subject.engine.dialect.name == "postgresql":
        with subject.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("ANALYZE"))  # as autovacuum does after a while


def cost(subject: Subject, tag: str) -> Cost:
    spent, began = sum(map(cpu, subject.pids)), time.monotonic()
    seen = load(subject.port, "/v1/notifications", seconds=SECONDS, tag=tag)
    _until_done(subject)
    passed, spent = time.monotonic() - began, sum(map(cpu, subject.pids)) - spent
    return Cost(passed / seen.done * 1000, spent / seen.done * 1000)


def _until_done(subject: Subject) -> None:
    until = time.monotonic() + PATIENCE
    time.sleep(0.1)
    with subject.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        while left := connection.execute(text(LEFT)).scalar_one():
            if time.monotonic() > until:
                sys.exit(f"{left} syncs and plans are left after {PATIENCE} s")
            time.sleep(0.1)


def compare(empty: Subject, full: Subject) -> dict[str, list[Cost]]:
    sys.stderr.write("filling\n")
    grow(full)
    costs: dict[str, list[Cost]] = {"empty": [], "full": []}
    for number in range(ROUNDS):
        sys.stderr.write(f"round {number + 1} of {ROUNDS}\n")
        for name, subject in (("empty", empty), ("full", full)):
            costs[name].append(cost(subject, f"{name}-{number}-"))
    return costs


def main() -> None:
    need("wrk")
    table = Table(
        "", title=f"One notification, milliseconds, with {RUNS:,} runs stored; {machine()}"
    )
    for heading in ("empty", "full", "ratio", "CPU, empty", "CPU, full", "ratio"):
        table.add_column(heading, justify="right")
    with ExitStack() as stack:
        found = compare(stack.enter_context(sqlite()), stack.enter_context(sqlite()))
        table.add_row("SQLite", *_row(found))
    with database_server() as one, database_server() as other, ExitStack() as stack:
        # A server of its own each, so that the CPU of one is not counted with the other's.
        found = compare(*(stack.enter_context(postgresql(server)) for server in (one, other)))
        table.add_row("PostgreSQL", *_row(found))
    Console(width=100).print(table)


def _row(costs: dict[str, list[Cost]]) -> Iterator[str]:
    for attribute in ("passed", "spent"):
        empty, full = (
            statistics.median(getattr(one, attribute) for one in costs[name])
            for name in ("empty", "full")
        )
        yield from (f"{empty:.2f}", f"{full:.2f}", f"{full / empty:.2f}")


main()
