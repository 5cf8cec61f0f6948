"""`postsync serve` among those who mean no good, or do nothing whole."""

from __future__ import annotations

import socket
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

from notifications import notification, resource
from service import Service, serving

from receiver.web.rejected_request_log import MOST

RULES = """
version: 1
rules:
- name: other
  match: {application: {name: other}}
  actions: [{uses: log.message, with: {text: x}}]
"""
HEAD = b"POST /v1/notifications HTTP/1.1\r\nHost: here\r\nContent-Length: 1000\r\n"
SENT = (
    b"",
    HEAD,
    HEAD + b"Authorization: Bearer unknown-0123456789\r\n\r\nhalf",
    b"\x16\x03\x01\x02\x00\x01",
    b"nonsense\r\n\r\n",
    HEAD + b"Content-Length: 2\r\n\r\n",
)


def visit(service: Service, stack: ExitStack, count: int) -> list[socket.socket]:
    opened = []
    for number in range(count):
        address = ("127.0.0.1", service.port)
        opened.append(stack.enter_context(socket.create_connection(address, timeout=10)))
        opened[-1].sendall(SENT[number % len(SENT)])
    return opened


def test_health_is_told_while_commits_are_stalled(tmp_path: Path) -> None:
    """It is answered before any notification is, with more of them than threads, and strangers."""
    with (
        serving(tmp_path, RULES, threads="4") as service,
        ExitStack() as stack,
        closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as other,
        ThreadPoolExecutor(8) as pool,
    ):
        other.execute("BEGIN IMMEDIATE")
        bodies = [notification(resource(f"r{number}")) for number in range(8)]
        posts = [pool.submit(service.request, "POST", "/v1/notifications", one) for one in bodies]
        visit(service, stack, 64)
        assert service.request("GET", "/healthz")[0] == 200
        assert not any(post.done() for post in posts)
        other.execute("ROLLBACK")
        assert {post.result()[0] for post in posts} <= {202, 503}


def test_strangers_fill_no_log(tmp_path: Path) -> None:
    """However many come and whatever they send, a few lines say who, and none is a traceback."""
    with serving(tmp_path, RULES, request_timeout="0.5") as service, ExitStack() as stack:
        before = len(service.log.read_text().splitlines())
        for connection in visit(service, stack, 120):
            while connection.recv(1 << 16):
                pass
        told = service.log.read_text().splitlines()[before:]
        strange = [line for line in told if '"request.' in line]
        assert 0 < len(strange) <= MOST
        assert [line for line in told if not line.startswith("{")] == []
