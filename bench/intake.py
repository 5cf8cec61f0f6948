"""Accepted notifications a second, and how long each takes, against two yardsticks.

(a) bare: a Flask view under the same gunicorn that only parses the JSON; nothing is stored.
(b) webhook: Debian's webhook (adnanh/webhook) with one matching hook that runs /bin/true; it
    answers before it acts, and stores nothing.
Ours answers after the notification is on disk. The three take turns, so that what else the
machine does falls on all of them.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table
from stage import ROOT, Load, free_port, load, machine, need, ours, program

ROUNDS, SECONDS = 3, 8

NOTHING = """
version: 1
rules:
- name: other
  match: {application: {name: other}}
  actions: [{uses: log.message, with: {text: x}}]
"""

BUSY = """
version: 1
rules:
- name: slow
  match: {application: {name: shop-slow*}, resources: [{kind: ConfigMap}]}
  retry: {for: 1h, initialDelay: 5s, maxDelay: 10s}
  actions:
  - uses: http.request
    with: {url: "http://127.0.0.1:9/", json: {}}
"""


def bare() -> Load:
    port = free_port()
    command = (
        str(ROOT / ".venv/bin/gunicorn"), "--chdir", "bench", "-k", "gthread", "-w", "1",
        "--threads", "32", "-b", f"127.0.0.1:{port}", "--log-level", "error",
        "--no-control-socket", "bare:app",
    )  # fmt: skip
    with program(*command, port=port):
        return load(port, "/v1/notifications", seconds=SECONDS)


def webhook() -> Load:
    hook = {
        "id": "sync",
        "execute-command": "/bin/true",
        "trigger-rule": {
            "match": {
                "type": "value",
                "value": "Succeeded",
                "parameter": {"source": "payload", "name": "operationState.phase"},
            }
        },
    }
    with tempfile.TemporaryDirectory() as folder:
        hooks = Path(folder, "hooks.json")
        hooks.write_text(json.dumps([hook]))
        port = free_port()
        command = ("webhook", "-hooks", str(hooks), "-ip", "127.0.0.1", "-port", str(port))
        with program(*command, port=port):
            return load(port, "/hooks/sync", seconds=SECONDS)


def stored() -> Load:
    with ours(NOTHING) as (port, _, _):
        return load(port, "/v1/notifications", seconds=SECONDS)


def while_busy() -> Load:
    """The same while 1,000 runs are under way: each fails at once and is tried again."""
    with ours(BUSY) as (port, _, _):
        load(port, "/v1/notifications", seconds=3, tag="slow")
        return load(port, "/v1/notifications", seconds=SECONDS)


def main() -> None:
    need("wrk", "webhook")
    subjects: dict[str, Callable[[], Load]] = {
        "bare Flask view (a)": bare,
        "webhook (b)": webhook,
        "postsync, on disk": stored,
        "postsync, 1,000 runs under way": while_busy,
    }
    rounds: dict[str, list[Load]] = {name: [] for name in subjects}
    for number in range(ROUNDS):
        for name, run in subjects.items():
            sys.stderr.write(f"round {number + 1} of {ROUNDS}: {name}\n")
            rounds[name].append(run())
    yardstick = statistics.median(item.rate for item in rounds["bare Flask view (a)"])
    table = Table(title=f"Intake: 40 resources, 10 KB, 16 connections; {machine()}")
    for heading in ("", "accepted/s", "ratio to (a)", "p50 ms", "p99 ms", "not 2xx"):
        table.add_column(heading, justify="left" if not heading else "right")
    for name, items in rounds.items():
        rate = statistics.median(item.rate for item in items)
        table.add_row(
            name,
            f"{rate:.0f}",
            f"{rate / yardstick:.2f}",
            f"{statistics.median(item.p50 for item in items):.1f}",
            f"{statistics.median(item.p99 for item in items):.1f}",
            str(sum(item.failed for item in items)),
        )
    Console(width=100).print(table)


main()
