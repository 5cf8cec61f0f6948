"""A real HTTP server on loopback that answers with given replies and faults."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from receiver.core.threads import start_daemon


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
    """An answer; its Content-Length is added."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class Fault(Enum):
    """A way to answer wrongly, or not at all."""

    RESET = "reset connection"
    SILENT = "no answer in time"
    DRIPPING = "an answer that never ends"
    CUT = "body that breaks off"
    GARBLED = "body that is not what it says"


GARBLED = Reply(200, b'{"status": "o', {"Content-Type": "application/json"})
DRIP = 0.05
"""Seconds between two bytes: each comes long before a socket's own timeout."""


@dataclass
class Peer:
    """A server, with the requests that it got."""

    url: str
    seen: list[Seen]


Answering = Callable[[Seen], Reply | Fault]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    answering: Answering
    seen: list[Seen]
    over: threading.Event

    def handle_one_request(self) -> None:
        with suppress(OSError):  # the client has gone
            super().handle_one_request()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self._answer
        raise AttributeError(name)

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        named = {name.lower(): value for name, value in self.headers.items()}
        one = Seen(self.command, self.path, named, body, self.client_address[1])
        self.seen.append(one)
        reply = type(self).answering(one)
        if isinstance(reply, Fault) and reply is not Fault.GARBLED:
            self.close_connection = True
            self._fail(reply)
        else:
            self._write(GARBLED if isinstance(reply, Fault) else reply)

    def _write(self, reply: Reply) -> None:
        bare = reply.status in {204, 304}
        self._head(reply.status, reply.headers, None if bare else len(reply.body))
        if self.command != "HEAD" and not bare:
            self.wfile.write(reply.body)

    def _head(self, status: int, headers: Mapping[str, str], length: int | None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def _fail(self, fault: Fault) -> None:
        if fault is Fault.RESET:
            linger = struct.pack("ii", 1, 0)  # on, for no time: closing sends a reset
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        elif fault is Fault.SILENT:
            self.over.wait()
        elif fault is Fault.CUT:
            self._head(200, {"Content-Type": "application/json"}, 1000)
            self.wfile.write(b"{")
        else:
            self._head(200, {}, 1 << 30)
            while not self.over.wait(DRIP):
                self.wfile.write(b" ")

    def log_message(self, *_: Any) -> None:
        """Keep silent."""


@contextmanager
def peer(answering: Answering = lambda _seen: Reply()) -> Iterator[Peer]:
    """Start a server that keeps connections alive and answers by ``answering``."""
    seen: list[Seen] = []
    over = threading.Event()
    attributes = {"answering": staticmethod(answering), "seen": seen, "over": over}
    server = _Server(("127.0.0.1", 0), type("Answering", (_Handler,), attributes))
    thread = start_daemon("testkit", partial(server.serve_forever, 0.002))
    try:
        yield Peer(f"http://127.0.0.1:{server.server_address[1]}", seen)
    finally:
        over.set()
        server.shutdown()
        server.server_close()
        thread.join()
