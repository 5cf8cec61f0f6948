"""The whole way: notifications a second whose one matching resource made one HTTP call.

Against Debian's webhook (adnanh/webhook) that runs curl for the same. The target is nginx,
which answers 204. Delivered counts what nginx has logged within the time of the load. On
PostgreSQL there is one intake, and so many workers.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from hosts import Postgres, database_server, new_ledger, replicas
from loading import load
from rich.console import Console
from rich.table import Table
from stage import free_port, machine, memory, need, ours, program, target

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
SECONDS = int(os.environ.get("BENCH_SECONDS", "10"))
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
    accepted: float
    delivered: float
    memory: float


def postsync() -> Result:
    with (
        target("204") as (port, log),
        ours(RULES.replace("@@PORT@@", str(port))) as (own, _, process),
    ):
        return _measure(own, "/v1/notifications", log, [process.pid])


def in_postgresql(server: Postgres, workers: int) -> Result:
    with (
        target("204") as (port, log),
        new_ledger(server) as database,
        replicas(
            database, RULES.replace("@@PORT@@", str(port)), intakes=1, workers=workers
        ) as started,
    ):
        assert server.process
        own = (*started.intakes, *started.workers, server.process)
        pids = [process.pid for process in own]
        return _measure(started.ports[0], "/v1/notifications", log, pids)


def webhook() -> Result:
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
            return _measure(own, "/hooks/sync", log, [process.pid])


def _measure(port: int, path: str, log: Path, pids: Sequence[int]) -> Result:
    before, began = _requests(log), time.monotonic()
    seen = load(port, path, seconds=SECONDS)
    took = time.monotonic() - began
    return Result(seen.rate, (_requests(log) - before) / took, sum(map(memory, pids)))


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
        print_table(in_turns(subjects))


def in_turns(subjects: dict[str, Callable[[], Result]]) -> dict[str, list[Result]]:
    rounds: dict[str, list[Result]] = {name: [] for name in subjects}
    for number in range(ROUNDS):
        for name, run in subjects.items():
            sys.stderr.write(f"round {number + 1} of {ROUNDS}: {name}\n")
            rounds[name].append(run())
    return rounds


def print_table(rounds: dict[str, list[Result]]) -> None:
    table = Table(title=f"The whole way, under full load for {SECONDS} s; {machine()}")
    for heading in ("", "accepted/s", "delivered/s", "ratio", "memory MB"):
        table.add_column(heading, justify="left" if not heading else "right")
    yardstick = statistics.median(item.delivered for item in rounds[WEBHOOK])
    for name, items in rounds.items():
        delivered = statistics.median(item.delivered for item in items)
        table.add_row(
            name,
            f"{statistics.median(item.accepted for item in items):.0f}",
            f"{delivered:.0f}",
            f"{delivered / yardstick:.2f}",
            f"{max(item.memory for item in items):.0f}",
        )
    Console(width=100).print(table)


main()
