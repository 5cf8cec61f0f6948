"""Two `postsync serve` and two `postsync work` on one PostgreSQL, as docs/postgresql.md says."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster import Worker
from forked import postsync
from postgres import Postgres, postgres_server
from service import ROOT, Service, Target, group_alive, wait_for

PAGE = (ROOT / "docs/postgresql.md").read_text()
SQL = re.compile(r"<!-- sql (\w+) -->\n```sql\n(.*?)```", re.DOTALL)
TUNING = re.compile(r"<!-- tuning -->\n```sql\n(.*?)```", re.DOTALL)
RULES = """
version: 1
defaults: {{retry: {{for: 2m, initialDelay: 200ms, maxDelay: 1s}}}}
rules:
- name: purge
  match: {{application: {{name: shop-*}}, resources: [{{kind: ConfigMap}}]}}
  actions:
  - uses: http.request
    with: {{url: "{url}", json: {{name: "${{{{ resource.name }}}}"}}}}
- name: one-by-one
  match: {{application: {{name: lane-*}}}}
  concurrency: {{key: all, limit: 1}}
  actions:
  - {{uses: http.request, with: {{url: "{url}", json: {{name: "${{{{ application.name }}}}"}}}}}}
- name: gather
  match: {{application: {{name: many}}, resources: [{{kind: ConfigMap}}]}}
  debounce: {{window: 2s, maxWait: 30s}}
  actions:
  - uses: http.request
    target: batch
    with: {{url: "{url}", json: {{name: many, all: "${{{{ resources.map(r, r.name) }}}}"}}}}
- name: careful
  match: {{application: {{name: held-*}}}}
  actions: [{{uses: log.message, suspend: true, target: application, with: {{text: done}}}}]
- name: brief
  match: {{application: {{name: brief-*}}}}
  actions:
  - {{uses: log.message, suspend: {{expires: 4s}}, target: application, with: {{text: done}}}}
- name: tell
  match: {{channel: postsync}}
  actions:
  - uses: http.request
    target: application
    with: {{url: "{url}", json: {{name: "${{{{ sync.held.plan }}}}"}}}}
- name: newest
  match: {{application: {{name: fast}}, resources: [{{kind: ConfigMap}}]}}
  onNewer: supersede
  concurrency: {{key: fast, limit: 1}}
  actions:
  - {{uses: http.request, with: {{url: "{url}", json: {{name: "${{{{ sync.revision }}}}"}}}}}}
"""


@dataclass(frozen=True)
class Hosts:
    """What shares the ledger; each is ready."""

    server: Postgres
    url: str
    intakes: list[Service]
    workers: list[Service]
    target: Target

    def calls(self, name: str) -> list[dict[str, Any]]:
        """What the target was asked about a resource, or whatever the rule names."""
        return [call for call in self.target.seen if f'"{name}"' in call["body"]]

    def busy(self, run: str) -> Service:
        """The worker that has begun an attempt of a run last."""
        began = {
            event["at"]: worker
            for worker in self.workers
            for event in worker.events("attempt.started")
            if event["run"] == run
        }
        return began[max(began)]


@contextmanager
def shared(home: Path, target: Target) -> Iterator[Hosts]:
    """Start all; the role that migrates is another than the one of the processes."""
    with postgres_server() as server, ExitStack() as stack:
        url = _database(server)
        rules = RULES.format(url=target.url)
        parts = [
            kind(home / f"{kind.command}-{number}", rules, database=url, lease="4",
                 attempt_threads="4")
            for kind in (Service, Worker) for number in (1, 2)
        ]  # fmt: skip
        _keep_to_their_own(parts)
        for part in parts:
            stack.callback(end, part)
            part.start(ready=False)
        for part in parts:
            wait_for(part._ready, 30, f"{part.home.name} to be ready")
        yield Hosts(server, url, parts[:2], parts[2:], target)


def _database(server: Postgres) -> str:
    """Make roles, database and tables; the URL of the processes."""
    for database, statements in SQL.findall(PAGE):
        for statement in statements.split(";\n")[:-1]:  # none is made inside a transaction
            server.run(statement, database)
    done = migrated(_url(server, "postsync_owner"))
    assert "was empty" in done.stdout, done.stderr
    server.run("SET ROLE postsync_owner; " + "".join(TUNING.findall(PAGE)), "postsync")
    return _url(server, "postsync_app")


def _keep_to_their_own(parts: list[Service]) -> None:
    """Intakes have no rules, and workers no tokens, as in k8s/overlays/postgres-ha."""
    for intake in parts[:2]:
        intake.rules.unlink()
    for worker in parts[2:]:
        for role in ("senders", "operators", "extensions"):
            shutil.rmtree(worker.home / role)


def _url(server: Postgres, role: str) -> str:
    return f"postgresql://{role}@127.0.0.1:{server.port}/postsync"


def migrated(url: str) -> subprocess.CompletedProcess[str]:
    """Run `postsync migrate`."""
    return postsync("migrate", "--database", url, cwd=ROOT, environ=os.environ)


def end(part: Service) -> None:
    """Leave nothing of it running."""
    if part.process and group_alive(part.process.pid):
        os.killpg(part.process.pid, signal.SIGKILL)
        part.process.wait(20)
