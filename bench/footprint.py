"""What it costs to have it: start to ready, idle memory and CPU, 202 to the first attempt."""

from __future__ import annotations

import json
import sqlite3
import statistics
import time
import urllib.request
from pathlib import Path

from rich.console import Console
from rich.table import Table
from stage import TOKEN, body_template, cpu, machine, memory, ours, tree

IDLE, SAMPLES = 20, 100

RULES = """
version: 1
rules:
- name: tell
  match: {resources: [{kind: ConfigMap, name: config-*}]}
  actions: [{uses: log.message, with: {text: "${{ resource.name }}"}}]
"""


def send(port: int, number: int) -> None:
    body = body_template().replace("@@N@@", f"latency-{number}").encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/notifications", body, {"Authorization": f"Bearer {TOKEN}"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        json.load(answer)
    time.sleep(0.05)


def latencies(home: Path) -> list[int]:
    """Milliseconds from the trail's accepted line (after its commit began) to the attempt's."""
    ledger = sqlite3.connect(home / "ledger.db")
    return [
        row[0]
        for row in ledger.execute(
            "SELECT MIN(started.at) - accepted.at FROM audit_events accepted "
            "JOIN audit_events started ON started.sync_id = accepted.sync_id "
            "AND started.name = 'attempt.started' "
            "WHERE accepted.name = 'notification.accepted' GROUP BY accepted.sync_id"
        )
    ]


def main() -> None:
    began = time.monotonic()
    with ours(RULES) as (port, home, process):
        ready = time.monotonic() - began
        time.sleep(2)
        processes = len(tree(process.pid))
        idle_memory, spent = memory(process.pid), cpu(process.pid)
        time.sleep(IDLE)
        idle_cpu = (cpu(process.pid) - spent) / IDLE
        for number in range(SAMPLES):
            send(port, number)
        found = sorted(latencies(home))
    table = Table(title=f"Footprint; {machine()}")
    table.add_column("")
    table.add_column("", justify="right")
    table.add_row("start to ready, rules loaded", f"{ready:.2f} s")
    table.add_row(f"idle memory, {processes} processes (PSS)", f"{idle_memory:.0f} MB")
    table.add_row("idle CPU", f"{idle_cpu * 100:.2f} % of a core")
    table.add_row("202 to the first attempt, p50", f"{statistics.median(found):.0f} ms")
    table.add_row("202 to the first attempt, p99", f"{found[int(len(found) * 0.99) - 1]} ms")
    Console(width=100).print(table)


main()
