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
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from stage import free_port, load, machine, memory, need, ours, program, target

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
        return _measure(own, "/v1/notifications", log, process.pid)


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
            return _measure(own, "/hooks/sync", log, process.pid)


def _measure(port: int, path: str, log: Path, pid: int) -> Result:
    before, began = _requests(log), time.monotonic()
    seen = load(port, path, seconds=SECONDS)
    took = time.monotonic() - began
    return Result(seen.rate, (_requests(log) - before) / took, memory(pid))


def _requests(log: Path) -> int:
    return log.read_bytes().count(b"\n")


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
