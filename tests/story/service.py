"""A whole service under test: `postsync serve` as a user starts it, in a folder of its own."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from forked import Process, start

from receiver.core.errors import AttemptError
from receiver.outbound import Outbound
from receiver.outbound.secret_masking import Masker

TOKEN = "test-token-0123456789"
POSTSYNC = [sys.executable, "-m", "receiver.cli"]
ROOT = Path(__file__).parents[2]

TELL = """
version: 1
rules:
- name: tell
  match: {resources: [{kind: ConfigMap}]}
  actions: [{uses: log.message, with: {text: "${{ resource.name }}"}}]
"""
"""Rules of a test that is about something else."""


def free_port() -> int:
    """A port that nobody has, and that the system gives to no connection of somebody else's.

    What it gives begins at 32768 (ip(7), ip_local_port_range).
    """
    for port in random.SystemRandom().sample(range(10_000, 32_000), 100):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("no port is free")


class Service:
    """One `postsync serve` over one home; it can be killed and started again."""

    command = "serve"

    def __init__(self, home: Path, rules: str, *, log: Path | None = None, **settings: str) -> None:
        self.home = home
        for role in ("senders", "operators", "extensions"):
            (home / role).mkdir(parents=True, exist_ok=True)
            (home / role / "test").write_text(TOKEN + role)
        self.rules = home / "rules.yaml"
        self.rules.write_text(rules)
        self.port = free_port()
        certificate = settings.get("tls_certificate")
        origin = "https://localhost" if certificate else "http://127.0.0.1"
        self.url = f"{origin}:{self.port}"
        self.environ = os.environ | {
            "POSTSYNC_HOME": str(home),
            "POSTSYNC_PORT": str(self.port),
            "POSTSYNC_RULES": json.dumps([str(self.rules)]),
            "POSTSYNC_LOG_FORMAT": "json",
            "POSTSYNC_URL": self.url,
            **{f"POSTSYNC_{name.upper()}": value for name, value in settings.items()},
        }
        self.log = log or home / "stdout.log"
        self._door = Outbound(ca_bundle=Path(certificate) if certificate else None)
        self.process: Process | None = None

    def start(self, *, ready: bool = True) -> None:
        self.process = start(self.command, cwd=ROOT, environ=self.environ, log=self.log)
        if ready:
            self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Wait until it is ready; where it is not, its log says why."""
        try:
            wait_for(self._ready_or_ended, 20, f"{self.home.name} to be ready")
        except TimeoutError as error:
            raise TimeoutError(f"{error}; its log ends with:\n{self._end_of_log()}") from None

    def _ready_or_ended(self) -> bool:
        if self.process and self.process.poll() is not None:
            raise AssertionError(f"{self.home.name} has ended:\n{self._end_of_log()}")
        return self._ready()

    def _end_of_log(self) -> str:
        return "\n".join(self.log.read_text().splitlines()[-20:])

    def _ready(self) -> bool:
        """Whether it takes notifications, and its dispatcher has looked at the rules."""
        try:
            status, answer = self.request("GET", "/readyz")
        except AttemptError:
            return False
        return status == 200 and "loadedAt" in answer["rules"]

    def request(
        self, method: str, path: str, body: bytes | None = None, *, role: str = "senders"
    ) -> tuple[int, Any]:
        """Send a request with a valid token; the status, and the JSON that came."""
        headers = {"Authorization": f"Bearer {TOKEN}{role}", "Connection": "close"}
        door = self._door.http(time.monotonic() + 30, Masker(()))
        answer = door.send(method, self.url + path, headers=headers, body=body, max_answer=64 << 20)
        return answer.status, answer.json()

    def story(self, sync: str, fields: str = "") -> dict[str, Any]:
        """One sync's story by the API, or so much of it."""
        path = f"/v1/syncs/{sync}?fields={fields}"
        status, story = self.request("GET", path, role="operators")
        assert status == 200, story
        return dict(story)

    def ended(self, sync: str, seconds: float = 20) -> dict[str, Any]:
        """Wait until a sync's plans have ended, and return its story."""

        def done() -> bool:
            story = self.story(sync, "state,plans.state")
            states = {plan["state"] for plan in story["plans"]}
            planned = story["state"] not in {"new", "verifying"}
            return planned and not states & {"waiting", "active", "collecting"}

        try:
            wait_for(done, seconds, f"the end of {sync}")
        except TimeoutError as error:
            plans = json.dumps(self.story(sync)["plans"], indent=1)
            raise TimeoutError(f"{error}\n{plans}\n{self._end_of_log()}") from None
        return self.story(sync)

    def events(self, name: str) -> list[dict[str, Any]]:
        """The lines of stdout with this event."""
        lines = self.log.read_text().splitlines()
        found = [json.loads(line) for line in lines if line.startswith("{")]
        return [line for line in found if line["event"] == name]

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Look into the ledger's file."""
        with closing(sqlite3.connect(self.home / "ledger.db")) as connection:
            return connection.execute(statement).fetchall()

    def processes(self) -> dict[str, int]:
        """The pids: supervisor, the intake's arbiter and worker, the dispatcher."""
        assert self.process
        supervisor = self.process.pid
        first, second = sorted(children(supervisor))
        arbiter, dispatcher = (first, second) if children(first) else (second, first)
        worker = next(iter(children(arbiter)), 0)
        return {
            "supervisor": supervisor, "arbiter": arbiter, "worker": worker,
            "dispatcher": dispatcher,
        }  # fmt: skip

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Stop it, and return its exit code."""
        assert self.process
        if self.process.poll() is None:
            os.kill(self.process.pid, number)
        code = self.process.wait(PATIENCE)
        wait_for(lambda: not group_alive(self.process.pid), 60, "all processes to end")  # type: ignore[union-attr]  # set above
        return code

    def kill(self) -> None:
        """Kill every process of it at once, as a power failure would."""
        assert self.process
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(20)
        wait_for(lambda: not group_alive(self.process.pid), 20, "all processes to end")  # type: ignore[union-attr]  # set above


def children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in text.split()]


def group_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


PATIENCE = 120.0
"""Seconds after which a test stops waiting, on a machine that has much else to do."""


def wait_for(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait for so long, or `PATIENCE` if that is longer: what comes late has come.

    To ask may cost our processes as much as what is waited for: the longer, the less often.
    """
    seconds = max(seconds, PATIENCE)
    began = time.monotonic()
    while not condition():
        waited = time.monotonic() - began
        if waited > seconds:
            raise TimeoutError(f"waited {seconds} s for {what}")
        time.sleep(min(max(0.02, waited / 10), 0.1))


@contextmanager
def serving(
    home: Path, rules: str, *, log: Path | None = None, **settings: str
) -> Iterator[Service]:
    """Serve while the block lasts; nothing is left running."""
    service = Service(home, rules, log=log, **settings)
    try:
        service.start()
        yield service
    finally:
        if service.process and group_alive(service.process.pid):
            os.killpg(service.process.pid, signal.SIGKILL)
            service.process.wait(20)


class Target:
    """An HTTP server that notes what it is asked, and answers as it is told."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []
        self.statuses: list[int] = []
        self.gates: list[threading.Event] = []
        """Each of the next calls is answered when its gate is open; the others have none."""
        self.delay = 0.0
        self.answer = b"{}"
        target = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                body = self.rfile.read(length)
                if len(body) < length:  # its sender was killed meanwhile: nobody was asked
                    self.close_connection = True
                    return
                call = {"headers": dict(self.headers), "body": body.decode(), "at": time.time()}
                target.seen.append(call)
                status = target.statuses.pop(0) if target.statuses else 200
                if target.gates:
                    target.gates.pop(0).wait(PATIENCE)
                time.sleep(target.delay)
                self.send_response(status)
                self.send_header("Content-Length", str(len(target.answer)))
                self.end_headers()
                self.wfile.write(target.answer)

            def log_message(self, *_: Any) -> None:
                return

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_: Any) -> None:
                """Say nothing of a peer that was killed."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        # It is asked so often whether it is to end.
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
