"""Servers on loopback that handlers and the door out meet: polite ones, and raw sockets."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from receiver.contract import Call, Http
from receiver.expressions import Expressions, Scope
from receiver.masking import Masker
from receiver.outbound import Outbound


@dataclass(frozen=True)
class Seen:
    """One request as it arrived; header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    port: int


@dataclass
class Reply:
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Peer:
    """A server with everything that it was asked."""

    url: str
    seen: list[Seen]


Answering = Callable[[Seen], Reply]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128


@contextmanager
def peer(answering: Answering = lambda _seen: Reply()) -> Iterator[Peer]:
    """Start a server that keeps connections alive and answers as told."""
    seen: list[Seen] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def handle_one_request(self) -> None:
            with suppress(ConnectionError):
                super().handle_one_request()

        def __getattr__(self, name: str) -> Any:
            if name.startswith("do_"):
                return self._answer
            raise AttributeError(name)

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            named = {name.lower(): value for name, value in self.headers.items()}
            one = Seen(self.command, self.path, named, body, self.client_address[1])
            seen.append(one)
            reply = answering(one)
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if reply.status not in {204, 304}:
                self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            if self.command != "HEAD" and reply.status not in {204, 304}:
                self.wfile.write(reply.body)

        def log_message(self, *_: Any) -> None:
            pass

    server = _Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield Peer(f"http://127.0.0.1:{server.server_address[1]}", seen)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def raw_peer(script: Callable[[socket.socket, threading.Event], None]) -> Iterator[int]:
    """Listen, run the script on the first connection, and give the port.

    The event is set when the test has ended.
    """
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)

        def serve() -> None:
            with suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    script(connection, over)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            over.set()
            thread.join(5)


def closed_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def door(outbound: Outbound, seconds: float = 10, *secrets: str) -> Http:
    """Return the way out of an attempt that may take so long."""
    return outbound.http(time.monotonic() + seconds, Masker(secrets))


def call(http: Http, said: list[str] | None = None, **fields: Any) -> Call:
    """Return an attempt as the runner makes it, with real expressions."""
    expressions = Expressions()

    def evaluate(source: str, values: Mapping[str, Any]) -> Any:
        program = expressions.compile(source, Scope(tuple(values)))
        return program.evaluate(expressions.bind(dict(values)))

    given: dict[str, Any] = {
        "run": "run-1",
        "idempotency_key": "run-1.1",
        "attempt": 1,
        "state": None,
        "timeout": 10.0,
        "now": datetime(2026, 6, 1, 12, tzinfo=UTC),
        "http": http,
        "evaluate": evaluate,
        "say": (said if said is not None else []).append,
    }
    return Call(**(given | fields))
