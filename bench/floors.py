"""Starts the floors: what stores the same rows and makes the same calls, by the drivers alone."""

from __future__ import annotations

import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from subprocess import Popen

from budget import Seen, loaded
from delivery import RULES
from hosts import Postgres, new_ledger, replicas
from intake import under_gunicorn
from loading import body_template, post
from stage import ROOT, metric, ours, program, target


def bare(seconds: int) -> Seen:
    """The yardstick of the intake, kept to one core."""
    with under_gunicorn("bare:app", *on_core(0)) as (port, process):
        return loaded([port], {"intake": [process.pid]}, seconds)


def on_core(number: int) -> tuple[str, ...]:
    """The command that keeps what it starts to one core, as Postsync keeps its processes."""
    cores = sorted(os.sched_getaffinity(0))
    return "taskset", "-c", str(cores[number % len(cores)])


def on_sqlite(seconds: int, *, calls: bool) -> Seen:
    """One intake; with ``calls`` also one dispatcher."""
    with target("204") as (port, log), _file(port, log) as file:
        return _loaded(str(file), port, log, 1, int(calls), seconds, {})


def in_postgresql(server: Postgres, seconds: int, *, intakes: int, dispatchers: int) -> Seen:
    assert server.process
    with target("204") as (port, log), new_ledger(server) as database:
        rules = RULES.replace("@@PORT@@", str(port))
        with replicas(database, rules, intakes=1, workers=1) as started:
            _one(started.ports[0], log)
        own: dict[str, Sequence[int]] = {"server": [server.process.pid]}
        return _loaded(database, port, log, intakes, dispatchers, seconds, own)


@contextmanager
def _file(port: int, log: Path) -> Iterator[Path]:
    """A ledger that Postsync has made, with one notification and its run."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder:
        file = Path(folder, "ledger.db")
        with ours(RULES.replace("@@PORT@@", str(port))) as (own, home, _):
            _one(own, log)
            with (
                closing(sqlite3.connect(home / "ledger.db")) as made,
                closing(sqlite3.connect(file)) as copy,
            ):
                made.backup(copy)
        yield file


def _one(port: int, log: Path) -> None:
    post(port, body_template(), "pattern")
    while not metric(port, "postsync_events_total", event="plan.succeeded"):
        time.sleep(0.1)
    os.truncate(log, 0)


def _loaded(
    ledger: str, port: int, log: Path, intakes: int, dispatchers: int, seconds: int,
    pids: dict[str, Sequence[int]],
) -> Seen:  # fmt: skip
    with ExitStack() as stack:
        started: list[tuple[int, Popen[bytes]]] = [
            stack.enter_context(
                under_gunicorn("floor_intake:app", *on_core(number), BENCH_LEDGER=ledger)
            )
            for number in range(intakes)
        ]
        script = (sys.executable, str(ROOT / "bench/floor_dispatcher.py"), ledger, str(port))
        callers = [
            stack.enter_context(program(*on_core(intakes + number), *script))
            for number in range(dispatchers)
        ]
        pids = {"intake": [process.pid for _, process in started]} | pids
        if dispatchers:
            pids = {"dispatcher": [process.pid for process in callers]} | pids
        ports = [own for own, _ in started]
        return loaded(ports, pids, seconds, log if dispatchers else None)
