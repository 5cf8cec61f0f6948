"""What it costs to watch 5,000 Applications, and how fast lost notifications are recovered.

The Applications have 70 resources and a history of ten. They are served by a process of its own,
as an API server lists and watches them, and as Argo CD's API streams the fields that are asked for.
A thousand have just finished an operation of which no notification comes; the others finished two
days ago.
"""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from rich.console import Console
from rich.table import Table
from stage import cpu, free_port, machine, memory, metric, ours, program

from receiver.argocd.argocd_api import NEEDED
from receiver.core.model import rfc3339

APPLICATIONS = int(os.environ.get("BENCH_APPLICATIONS", "5000"))
LOST = APPLICATIONS // 5
PATIENCE = 300
RULES = """
version: 1
rules:
- name: none
  match: {application: {name: none}}
  actions: [{uses: log.message, with: {text: x}}]
"""


def application(number: int) -> dict[str, Any]:
    """Some 31 KB of JSON, as an Application of 70 resources has."""
    end = datetime.now(UTC).replace(microsecond=0)
    end -= timedelta(minutes=1) if number < LOST else timedelta(days=2)
    names = [
        {"group": "apps", "version": "v1", "kind": "Deployment", "namespace": "shop",
         "name": f"web-{one}", "status": "Synced"} for one in range(70)
    ]  # fmt: skip
    done = {
        "message": "deployment.apps/web configured",
        "hookPhase": "Running",
        "syncPhase": "Sync",
    }
    revision = f"{number:040x}"
    times = [rfc3339(end - timedelta(days=age, seconds=5)) for age in reversed(range(10))]
    source = {"repoURL": "https://git.example.com/acme.git", "helm": {"values": "x" * 300}}
    return {
        "metadata": {
            "name": f"app-{number}", "namespace": "argocd", "uid": f"uid-of-{number:029}",
            "labels": {"team": f"team-{number % 50}", "tier": "edge"},
        },
        "spec": {"project": f"p-{number % 30}", "destination": {"namespace": "shop"},
                 "source": source},
        "status": {
            "operationState": {
                "phase": "Succeeded", "startedAt": times[-1], "finishedAt": rfc3339(end),
                "operation": {"sync": {"revision": revision}},
                "syncResult": {"revision": revision, "resources": [one | done for one in names]},
            },
            "history": [{"id": one, "revision": revision, "deployStartedAt": at,
                         "deployedAt": at, "source": source} for one, at in enumerate(times)],
            "sync": {"status": "Synced", "revision": revision},
            "resources": [{**one, "health": {"status": "Healthy"}} for one in names],
        },
    }  # fmt: skip


def chosen(tree: Any, fields: list[list[str]]) -> Any:
    """What of a tree the fields name."""
    if isinstance(tree, list):
        return [chosen(one, fields) for one in tree]
    if [] in fields or not isinstance(tree, dict):
        return tree
    return {
        key: chosen(value, [one[1:] for one in fields if one[0] == key])
        for key, value in tree.items()
        if any(one[0] == key for one in fields)
    }


class Server(BaseHTTPRequestHandler):
    """An API server, and Argo CD's."""

    protocol_version = "HTTP/1.1"
    whole: list[bytes]
    small: list[bytes]

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        name = parts.path.rpartition("/")[2]
        if "stream" in parts.path or "watch" in query:
            self._stream(self.small if "stream" in parts.path else [])
        elif name.startswith("app-"):
            self._write(self.whole[int(name[4:])])
        else:
            begin = int(query.get("continue") or 0)
            end = begin + int(query["limit"])
            more = {"continue": str(end)} if end < len(self.whole) else {}
            head = json.dumps({"resourceVersion": "1", **more}).encode()
            self._write(
                b'{"metadata": %s, "items": [%s]}' % (head, b",".join(self.whole[begin:end]))
            )

    def _stream(self, lines: list[bytes]) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for line in lines:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
        time.sleep(3600)

    def _write(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Keep silent."""


def serve(port: int) -> None:
    """Be the server."""
    apps = [application(number) for number in range(APPLICATIONS)]
    fields = [one.split(".") for one in NEEDED]
    told = [{"type": "ADDED", "application": chosen(app, fields)} for app in apps]
    Server.whole = [json.dumps(app).encode() for app in apps]
    Server.small = [json.dumps({"result": one}).encode() + b"\n" for one in told]
    del apps, told
    ThreadingHTTPServer(("127.0.0.1", port), Server).serve_forever()


def settings(way: str, port: int, recover_after: float) -> dict[str, str]:
    """The connection of one kind."""
    url = f"http://127.0.0.1:{port}"
    if way == "nothing":
        return {}
    connection: dict[str, Any] = {"recoverAfter": recover_after}
    if way == "Argo CD's API":
        connection |= {"server": url, "token": {"env": "POSTSYNC_SECRET_IT"}}
        secret = "token"
    else:
        connection["kubernetes"] = {"kubeconfig": {"env": "POSTSYNC_SECRET_IT"}}
        secret = json.dumps({
            "current-context": "it", "contexts": [{"name": "it", "context": {"cluster": "it"}}],
            "clusters": [{"name": "it", "cluster": {"server": url}}],
        })  # fmt: skip
    since = rfc3339(datetime.now(UTC) - timedelta(days=1))
    return {
        "POSTSYNC_ARGOCD": json.dumps({"bench": connection}),
        "POSTSYNC_SECRET_IT": secret,
        "POSTSYNC_ACT_SINCE": since,
    }


def watched(way: str, port: int) -> tuple[float, float]:
    """Megabytes of all processes, and seconds of CPU, after half a minute of watching."""
    with ours(RULES, **settings(way, port, 3600)) as (_, _, process):
        time.sleep(30)
        return memory(process.pid), cpu(process.pid)


def recovered(way: str, port: int) -> float:
    """Seconds until all that was lost is recovered."""
    with ours(RULES, **settings(way, port, 0)) as (own, _, _):
        begun = time.monotonic()
        while metric(own, "postsync_events_total", event="sync.recovered") < LOST:
            if time.monotonic() - begun > PATIENCE:
                sys.exit("it was not recovered")
            time.sleep(0.5)
        return time.monotonic() - begun


def main() -> None:
    """Measure, and print the table."""
    table = Table(title=f"{APPLICATIONS:,} Applications, {LOST:,} not notified; {machine()}")
    for column in ("watched by", "memory", "CPU of the first 30 s", "lost recovered a second"):
        table.add_column(column)
    port = free_port()
    with program(sys.executable, __file__, str(port), port=port):
        without, idle = watched("nothing", port)
        for way in ("an API server", "Argo CD's API"):
            used, busy = watched(way, port)
            rate = LOST / recovered(way, port)
            table.add_row(way, f"{used - without:+.0f} MB", f"{busy - idle:+.1f} s", f"{rate:.0f}")
    Console(width=110).print(table)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        serve(int(sys.argv[1]))
    else:
        main()
