"""The whole way: notifications a second whose one matching resource made one HTTP call.

Against Debian's webhook (adnanh/webhook) that runs curl for the same. The target is nginx,
which answers 204. Delivered counts what nginx has logged within the time of the load.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from stage import free_port, load, machine, memory, need, ours, program

ROUNDS, SECONDS = 3, 10

RULES = """
version: 1
rules:
- name: purge
  match: {resources: [{kind: ConfigMap, name: config-*}]}
  actions:
  - uses: http.request
    with: {url: "http://127.0.0.1:@@PORT@@/", json: {name: "${{ resource.name }}"}}
"""

NGINX = """
daemon off; worker_processes 1; pid @@DIR@@/pid; error_log @@DIR@@/error.log;
events { worker_connections 4096; }
http { access_log @@DIR@@/access.log; keepalive_requests 1000000;
  server { listen 127.0.0.1:@@PORT@@ backlog=4096; return 204; } }
"""


@dataclass(frozen=True)
class Result:
    accepted: float
    delivered: float
    memory: float


@contextmanager
def target() -> Iterator[tuple[int, Callable[[], int]]]:
    """An nginx that answers 204, and how many requests it has had."""
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        config = Path(folder, "nginx.conf")
        config.write_text(NGINX.replace("@@DIR@@", folder).replace("@@PORT@@", str(port)))
        log = Path(folder, "access.log")
        with program("nginx", "-c", str(config), "-e", f"{folder}/error.log", port=port):
            yield port, lambda: log.read_bytes().count(b"\n")


def postsync() -> Result:
    with (
        target() as (port, count),
        ours(RULES.replace("@@PORT@@", str(port))) as (own, _, process),
    ):
        return _measure(own, "/v1/notifications", count, process.pid)


def webhook() -> Result:
    with target() as (port, count), tempfile.TemporaryDirectory() as folder:
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
            return _measure(own, "/hooks/sync", count, process.pid)


def _measure(port: int, path: str, count: Callable[[], int], pid: int) -> Result:
    before, began = count(), time.monotonic()
    seen = load(port, path, seconds=SECONDS)
    took = time.monotonic() - began
    return Result(seen.rate, (count() - before) / took, memory(pid))


def main() -> None:
    need("wrk", "webhook", "nginx", "curl")
    subjects = {"webhook running curl": webhook, "postsync": postsync}
    rounds: dict[str, list[Result]] = {name: [] for name in subjects}
    for number in range(ROUNDS):
        for name, run in subjects.items():
            sys.stderr.write(f"round {number + 1} of {ROUNDS}: {name}\n")
            rounds[name].append(run())
    table = Table(title=f"The whole way, under full load for {SECONDS} s; {machine()}")
    for heading in ("", "accepted/s", "delivered/s", "ratio", "memory MB"):
        table.add_column(heading, justify="left" if not heading else "right")
    yardstick = statistics.median(item.delivered for item in rounds["webhook running curl"])
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
