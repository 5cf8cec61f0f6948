"""Accepted notifications a second, and how long each takes, against two yardsticks.

(a) bare: a Flask view under the same gunicorn that only parses the JSON; nothing is stored.
(b) webhook: Debian's webhook (adnanh/webhook) with one matching hook that runs /bin/true; it
    answers before it acts, and stores nothing.
Ours answers after the notification is on disk: in a SQLite file, beside the dispatcher that plans
it; or in PostgreSQL, by one and by two intakes, whose dispatchers are on other hosts, so that none
runs here. All take turns, so that what else the machine does falls on all of them.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from hosts import Postgres, database_server, new_ledger, replicas
from loading import Load, body_template, load, load_many, post
from rich.console import Console
from rich.table import Table
from stage import ROOT, free_port, in_turns, machine, metric, need, ours, program, target

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
SECONDS = int(os.environ.get("BENCH_SECONDS", "8"))
PATIENCE = 120

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
  actions:
  - uses: http.request
    with:
      url: http://127.0.0.1:@@PORT@@/start
      json: {}
      poll: {url: answer.json.url, every: 10s, until: answer.json.state == 'done'}
"""
NEVER_DONE = """200 '{"url": "/state", "state": "running"}'"""
UNDER_WAY = 1000
"""Runs that the other side works on while the intake is measured, at least."""


def bare(seconds: int = SECONDS) -> Load:
    with under_gunicorn("bare:app") as (port, _):
        return load(port, "/v1/notifications", seconds=seconds)


@contextmanager
def under_gunicorn(
    app: str, *launcher: str, **environ: str
) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """Serve an application of this folder; gives port and process."""
    port = free_port()
    command = (
        *launcher, str(ROOT / ".venv/bin/gunicorn"), "--chdir", "bench", "-k", "gthread", "-w", "1",
        "--threads", "32", "-b", f"127.0.0.1:{port}", "--log-level", "error",
        "--no-control-socket", app,
    )  # fmt: skip
    with program(*command, port=port, **environ) as process:
        post(port, body_template(), "first")  # gunicorn binds before the application is imported
        yield port, process


def webhook(seconds: int = SECONDS) -> Load:
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
            return load(port, "/hooks/sync", seconds=seconds)


def stored(seconds: int = SECONDS) -> Load:
    with ours(NOTHING) as (port, _, _):
        return load(port, "/v1/notifications", seconds=seconds)


def in_postgresql(server: Postgres, intakes: int, seconds: int = SECONDS) -> Load:
    with (
        new_ledger(server) as database,
        replicas(database, NOTHING, intakes=intakes, workers=0) as started,
    ):
        return load_many(started.ports, "/v1/notifications", seconds=seconds)


def while_busy() -> Load:
    """The same while runs are pending: each is asked for every 10 s, and none ends."""
    with (
        target(NEVER_DONE) as (target_port, _),
        ours(BUSY.replace("@@PORT@@", str(target_port))) as (port, _, _),
    ):
        sent = 0
        while sent < UNDER_WAY * 1.2:  # more than it takes, since some are being asked for
            seen = load(port, "/v1/notifications", seconds=2, tag=f"slow{sent}-")
            sent += seen.done - seen.failed
        before = _pending(port, sent)
        measured = load(port, "/v1/notifications", seconds=SECONDS)
        return replace(measured, pending=min(before, _pending(port, UNDER_WAY)))


def _pending(port: int, least: int) -> int:
    """Wait until so many runs are pending; those that are just asked for are `running`."""
    until = time.monotonic() + PATIENCE
    while (found := int(metric(port, "postsync_runs", state="pending"))) < least * 0.95:
        if time.monotonic() > until:
            sys.exit(f"only {found} of {least} runs are pending after {PATIENCE} s")
        time.sleep(0.2)
    return found


def main() -> None:
    need("wrk", "webhook", "nginx")
    with database_server() as server:
        subjects: dict[str, Callable[[], Load]] = {
            "bare Flask view (a)": bare,
            "webhook (b)": webhook,
            "SQLite": stored,
            "SQLite, runs pending": while_busy,
            "PostgreSQL, 1 intake": partial(in_postgresql, server, 1),
            "PostgreSQL, 2 intakes": partial(in_postgresql, server, 2),
        }
        print_table(in_turns(subjects, ROUNDS))


def print_table(rounds: dict[str, list[Load]]) -> None:
    rates = {name: statistics.median(item.rate for item in rounds[name]) for name in rounds}
    table = Table(title=f"Intake: 40 resources, 10 KB, 16 connections; {machine()}")
    for heading in ("", "accepted/s", "to (a)", "to (b)", "p50 ms", "p99 ms", "not 2xx"):
        table.add_column(heading, justify="left" if not heading else "right")
    for name, items in rounds.items():
        pending = min(item.pending for item in items)
        rate = rates[name]
        table.add_row(
            f"{name}: {pending:,}" if pending else name,
            f"{rate:.0f}",
            f"{rate / rates['bare Flask view (a)']:.2f}",
            f"{rate / rates['webhook (b)']:.2f}",
            f"{statistics.median(item.p50 for item in items):.1f}",
            f"{statistics.median(item.p99 for item in items):.1f}",
            str(sum(item.failed for item in items)),
        )
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
