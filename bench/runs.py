"""What one run costs, from a backlog: claim, attempt and outcome, against an empty task.

Ours: a `log.message` of a plan of its own, so that the end of the plan is part of it. Against
Procrastinate's empty task in the same database, by one worker, with one task at a time and with
as many as we have threads. It is installed into a venv of the bench's own, in the user's cache.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
import venv
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psycopg
from hosts import Postgres, database_server, new_ledger, replicas
from loading import TELL, load
from rich.console import Console
from rich.table import Table
from stage import ROOT, cpu, in_turns, machine, need

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
BACKLOG = 1_000
YARDSTICK = "procrastinate==3.10.0"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "postsync-bench"
PATIENCE = 300

PAUSE = "INSERT INTO pauses (scope, name, operator, reason, at) VALUES ('all', '', 'b', '', 1)"
OPEN = "SELECT 1 FROM plans WHERE ended_at IS NULL LIMIT 1"
NEW = "SELECT 1 FROM syncs WHERE state = 'new' LIMIT 1"


@dataclass(frozen=True)
class Cost:
    """Of one run: milliseconds that pass, and of CPU in the worker and in the server."""

    passed: float
    worker: float
    server: float


def ours(server: Postgres) -> Cost:
    with (
        new_ledger(server) as database,
        psycopg.connect(database, autocommit=True) as ledger,
    ):
        with replicas(database, TELL, intakes=1, workers=0) as started:
            while _count(ledger) < BACKLOG:
                tag = f"{_count(ledger)}-"
                load(started.ports[0], "/v1/notifications", seconds=1, tag=tag)
        ledger.execute(PAUSE)
        with replicas(database, TELL, intakes=0, workers=1) as started:
            _wait(lambda: ledger.execute(NEW).fetchone() is None)
            count, pid = _count(ledger), started.workers[0].pid
            time.sleep(1)

            def begin() -> None:
                ledger.execute("DELETE FROM pauses")
                ledger.execute("NOTIFY postsync")

            done = partial(_wait, lambda: ledger.execute(OPEN).fetchone() is None)
            return _measured(server, pid, count, begin, done)


def theirs(server: Postgres, program: Path, at_once: int) -> Cost:
    with new_ledger(server) as database:
        script = str(ROOT / "bench/empty_task.py")
        with subprocess.Popen(
            [str(program), script, database, str(BACKLOG), str(at_once)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        ) as process:  # fmt: skip
            assert process.stdin
            assert process.stdout
            told, heard = process.stdin, process.stdout
            heard.readline()

            def begin() -> None:
                told.write("begin\n")
                told.flush()

            seen = _measured(server, process.pid, BACKLOG, begin, heard.readline)
            told.write("end\n")
        return seen


def _measured(
    server: Postgres, pid: int, count: int, begin: Callable[[], None], done: Callable[[], object]
) -> Cost:
    assert server.process
    own, its, began = cpu(pid), cpu(server.process.pid), time.monotonic()
    begin()
    done()
    passed = time.monotonic() - began
    own, its = cpu(pid) - own, cpu(server.process.pid) - its
    return Cost(*(seconds / count * 1000 for seconds in (passed, own, its)))


def _count(ledger: psycopg.Connection) -> int:
    row = ledger.execute("SELECT COUNT(*) FROM syncs").fetchone()
    return int(row[0]) if row else 0


def _wait(done: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not done():
        if time.monotonic() > until:
            sys.exit(f"not done after {PATIENCE} s")
        time.sleep(0.05)


def yardstick() -> Path | str:
    """The Python that has the yardstick, or the reason why there is none."""
    folder = CACHE / YARDSTICK
    program = folder / "bin/python"
    if not (folder / "installed").exists():
        venv.create(folder, with_pip=True, clear=True)
        command = [str(program), "-m", "pip", "install", "-q", YARDSTICK, "psycopg[binary]"]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            return (done.stderr.strip() or "pip failed").splitlines()[-1]
        (folder / "installed").touch()
    return program


def main() -> None:
    need("wrk")
    with database_server() as server:
        subjects: dict[str, Callable[[], Cost]] = {"postsync": partial(ours, server)}
        found = yardstick()
        if isinstance(found, Path):
            subjects["Procrastinate, 1 at a time"] = partial(theirs, server, found, 1)
            subjects["Procrastinate, 64 at a time"] = partial(theirs, server, found, 64)
        else:
            print(f"no yardstick: {YARDSTICK} was not installed: {found}")
        rounds = in_turns(subjects, ROUNDS)
    table = Table("", title=f"One run, milliseconds; {machine()}")
    for heading in ("passed", "CPU, worker", "CPU, server", "CPU in all"):
        table.add_column(heading, justify="right")
    for name, items in rounds.items():
        worker = statistics.median(item.worker for item in items)
        its = statistics.median(item.server for item in items)
        passed = statistics.median(item.passed for item in items)
        table.add_row(name, *(f"{value:.2f}" for value in (passed, worker, its, worker + its)))
    Console(width=100).print(table)


main()
