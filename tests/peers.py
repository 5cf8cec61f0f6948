"""Servers on loopback that handlers and the HTTP client meet: polite ones, and raw sockets."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from receiver.contract import Call, Http
from receiver.outbound import Outbound
from receiver.outbound.secret_masking import Masker
from receiver.rules.expressions.cel import Expressions
from receiver.rules.expressions.scope import Scope
from receiver.testkit import Peer, Reply, Seen, peer

__all__ = ["Peer", "Reply", "Seen", "call", "closed_port", "door", "peer", "raw_peer"]


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
        "hide": lambda _secret: None,
    }
    return Call(**(given | fields))
