"""The whole way: notifications a second whose one matching resource made one HTTP call.

Against Debian's webhook (adnanh/webhook) that runs curl for the same. The target is nginx,
which answers 204. Delivered counts what nginx has logged within the time of the load. On
PostgreSQL there is one intake, and so many workers. CPU and what is written are of one
notification, until its call is made: intake + dispatcher, or intake + workers + server.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from hosts import Postgres, database_server, new_ledger, replicas
from loading import load
from rich.console import Console
from rich.table import Table
from stage import (
    Cost,
    Meter,
    free_port,
    in_turns,
    machine,
    medians,
    memory,
    need,
    ours,
    parts,
    program,
    target,
)  # fmt: skip

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
SECONDS = int(os.environ.get("BENCH_SECONDS", "10"))
PATIENCE = 300
WEBHOOK = "webhook running curl"

RULES = """
version: 1
rules:
- name: purge
  match: {resources: [{kind: ConfigMap, name: config-*}]}
  actions:
  - uses: http.request
    with: {url: "http://127.0.0.1:@@PORT@@/", json: {name: "${{ resource.name }}"}}
"""


@dataclass(frozen=True)
class Result:
    """Notifications accepted and calls made a second while it was loaded, and megabytes.

    ``costs`` is what each part spent on one of the ``calls``, from the first notification until
    all were made.
    """

    accepted: float
    delivered: float
    memory: float
    calls: int = 0
    costs: Mapping[str, Cost] = field(default_factory=dict)


@dataclass(frozen=True)
class Subject:
    """Where it listens, the log of its target, and the processes of each of its parts."""

    port: int
    log: Path
    pids: Mapping[str, Sequence[int]]


@contextmanager
def on_sqlite(*launcher: str, **environ: str) -> Iterator[Subject]:
    with (
        target("204") as (port, log),
        ours(RULES.replace("@@PORT@@", str(port)), *launcher, **environ) as (own, _, process),
    ):
        intake, dispatcher = parts(process.pid)
        yield Subject(own, log, {"intake": [intake], "dispatcher": [dispatcher]})


@contextmanager
def on_postgresql(
    server: Postgres, workers: int, *launcher: str, **environ: str
) -> Iterator[Subject]:
    with (
        target("204") as (port, log),
        new_ledger(server) as database,
        replicas(
            database,
            RULES.replace("@@PORT@@", str(port)),
            *launcher,
            intakes=1,
            workers=workers,
            **environ,
        ) as started,
    ):
        assert server.process
        pids = {
            "intake": [process.pid for process in started.intakes],
            "workers": [process.pid for process in started.workers],
            "server": [server.process.pid],
        }
        yield Subject(started.ports[0], log, pids)


def postsync(seconds: int = SECONDS) -> Result:
    with on_sqlite() as subject:
        return full_load(subject, seconds)


def in_postgresql(server: Postgres, workers: int, seconds: int = SECONDS) -> Result:
    with on_postgresql(server, workers) as subject:
        return full_load(subject, seconds)


def full_load(subject: Subject, seconds: int) -> Result:
    """Load it, and wait until all that it accepted is done."""
    pids = [pid for own in subject.pids.values() for pid in own]
    meter = Meter(subject.pids)
    seen = _measure(subject.port, "/v1/notifications", subject.log, pids, seconds)
    calls = drain(subject.log, int(seen.accepted * seconds))
    return replace(seen, calls=calls, costs=meter.each(calls))


def webhook(seconds: int = SECONDS) -> Result:
    with target("204") as (port, log), tempfile.TemporaryDirectory() as folder:
        hook = {
            "id": "sync",
            "execute-command": "/usr/bin/curl",
            "pass-arguments-to-command": [
                *({"source": "string", "name": word} for word in ("-s", "-d", "{}")),
                {"source": "string", "name": f"http://127.0.0.1:{port}/"},
            ],
        }
        hooks = Path(folder, "hooks.json")
        hooks.write_text(json.dumps([hook]))
        own = free_port()
        command = ("webhook", "-hooks", str(hooks), "-ip", "127.0.0.1", "-port", str(own))
        with program(*command, port=own) as process:
            return _measure(own, "/hooks/sync", log, [process.pid], seconds)


def _measure(port: int, path: str, log: Path, pids: Sequence[int], seconds: int) -> Result:
    began = time.monotonic()
    seen = load(port, path, seconds=seconds)
    took = time.monotonic() - began
    return Result(seen.rate, _requests(log) / took, sum(map(memory, pids)))


def drain(log: Path, least: int) -> int:
    """Wait until the target was called so often, and then not for a second; the calls.

    Of the load's last notifications nobody read the answer: they are called for too.
    """
    until, last = time.monotonic() + PATIENCE, -1
    while (found := _requests(log)) < least or found > last:
        if time.monotonic() > until:
            sys.exit(f"only {found} of {least} calls after {PATIENCE} s")
        last = found
        time.sleep(1)
    return found


def _requests(log: Path) -> int:
    return log.read_bytes().count(b"\n")


def main() -> None:
    need("wrk", "webhook", "nginx", "curl")
    with database_server() as server:
        subjects: dict[str, Callable[[], Result]] = {
            WEBHOOK: webhook,
            "SQLite": postsync,
            "PostgreSQL, 1 worker": partial(in_postgresql, server, 1),
            "PostgreSQL, 2 workers": partial(in_postgresql, server, 2),
            "PostgreSQL, 4 workers": partial(in_postgresql, server, 4),
        }
        print_table(in_turns(subjects, ROUNDS))


def print_table(rounds: dict[str, list[Result]]) -> None:
    table = Table(title=f"The whole way, under full load for {SECONDS} s; {machine()}")
    for heading in ("", "accepted/s", "delivered/s", "ratio", "memory MB", "CPU ms", "KB"):
        table.add_column(heading, justify="left" if not heading else "right")
    yardstick = statistics.median(item.delivered for item in rounds[WEBHOOK])
    for name, items in rounds.items():
        delivered = statistics.median(item.delivered for item in items)
        costs = medians([item.costs for item in items]).values()
        table.add_row(
            name,
            f"{statistics.median(item.accepted for item in items):.0f}",
            f"{delivered:.0f}",
            f"{delivered / yardstick:.2f}",
            f"{max(item.memory for item in items):.0f}",
            " + ".join(f"{cost.cpu:.2f}" for cost in costs),
            " + ".join(f"{cost.written:.0f}" for cost in costs),
        )
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
