"""What connections cost that bring no whole request, or nobody known: no thread, bounded memory."""

from __future__ import annotations

import json
import resource
import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from certificates import make, needs_openssl, trusting
from served import Serve, Served, head, rest, status

from receiver.web.connection_manager import MAX_CONNECTIONS

LONG = 60.0
"""Seconds until a slow sender is cut off here: nothing below waits for that."""

STRANGER = "Authorization: Bearer of-a-stranger"
HALVES = (b"", b"POST /ec", head()[:-2], head(length=1000) + b"half")
GET = b"GET /healthz HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def half_sent(served: Served, stack: ExitStack, count: int = 64) -> None:
    for number in range(count):
        connection = stack.enter_context(served.connect())
        connection.sendall(HALVES[number % len(HALVES)])


def answer(served: Served, request: bytes) -> bytes:
    with served.connect() as connection:
        connection.settimeout(10)
        connection.sendall(request)
        return rest(connection)


def told(text: bytes) -> dict[str, Any]:
    """Read a problem."""
    top, _, body = text.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in top.lower()
    return dict(json.loads(body))


def test_half_sent_requests_hold_no_thread(serve: Serve, stack: ExitStack) -> None:
    """Sixteen times as many as there are threads, and the next whole request is answered."""
    served = serve(limit=LONG)
    half_sent(served, stack)
    assert status(answer(served, head() + b"ok")) == 200


def test_health_is_told_while_every_thread_is_busy(serve: Serve, stack: ExitStack) -> None:
    """Its threads are its own, whatever the app waits for, and whoever else sends halves."""
    served = serve(limit=LONG)
    for _ in range(8):  # there are 4 threads, and 4 more wait for one
        stack.enter_context(served.connect()).sendall(head("/held") + b"ok")
    for _ in range(4):
        assert served.line() == "began"
    half_sent(served, stack)
    assert answer(served, GET).endswith(b"well")


@needs_openssl
def test_handshakes_that_never_end_hold_no_thread(
    serve: Serve, stack: ExitStack, tmp_path: Path
) -> None:
    """Neither silence nor half a hello keeps the next client waiting."""
    make(tmp_path)
    served = serve(limit=LONG, tls_certificate=tmp_path / "tls.crt", tls_key=tmp_path / "tls.key")
    for hello in (b"", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03") * 8:
        stack.enter_context(served.connect()).sendall(hello)
    plain = served.connect()
    plain.settimeout(10)
    context = trusting(tmp_path / "tls.crt")
    with context.wrap_socket(plain, server_hostname="localhost") as connection:
        connection.sendall(head() + b"ok")
        assert status(rest(connection)) == 200


def test_answers_that_nobody_reads_hold_no_thread(serve: Serve, stack: ExitStack) -> None:
    """They wait in memory for their reader, or for the end of the time that it has."""
    served = serve(limit=LONG)
    for _ in range(8):
        connection = stack.enter_context(served.connect())
        connection.sendall(GET.replace(b"/healthz", b"/large"))
    assert status(answer(served, head() + b"ok")) == 200
    answers = answer(served, GET.replace(b"/healthz", b"/large"))
    assert len(answers.partition(b"\r\n\r\n")[2]) == 8 << 20


def test_the_body_of_a_stranger_is_not_waited_for(serve: Serve) -> None:
    """The head says enough for the answer; nothing of what follows is kept."""
    served = serve(limit=LONG)
    assert status(answer(served, head("/echo", 5 << 20, STRANGER))) == 401


def test_a_stranger_still_reads_the_answer_after_a_large_body(serve: Serve) -> None:
    """Argo CD with a wrong token logs why: the connection is not reset under its sending."""
    served = serve(limit=LONG)
    assert status(answer(served, head("/echo", 5 << 20, STRANGER) + bytes(5 << 20))) == 401


@pytest.mark.parametrize(("who", "expected"), [("X-Who: a friend", 100), (STRANGER, 401)])
def test_only_whom_the_server_knows_is_told_to_go_ahead(
    serve: Serve, who: str, expected: int
) -> None:
    """`Expect: 100-continue` asks exactly that: whether the body is worth sending."""
    served = serve(limit=LONG)
    with served.connect() as connection:
        connection.sendall(head("/echo", 2, "Expect: 100-continue", who))
        assert status(connection.recv(1 << 16)) == expected
        if expected == 100:
            connection.sendall(b"ok")
            assert status(rest(connection)) == 200


def test_bodies_that_are_held_are_bounded_together(serve: Serve, stack: ExitStack) -> None:
    """One of them makes room, and is told to come again; the others are served."""
    served = serve(limit=LONG, max_body=1024)
    sent = head(length=1000) + bytes(900)
    opened = [stack.enter_context(served.connect()) for _ in range(10)]  # 8 KiB are held
    for connection in opened:
        connection.sendall(sent)
    refusing = select.select(opened, [], [], 20)[0][0]
    refused = rest(refusing)
    assert (status(refused), told(refused)["reason"]) == (503, "busy")
    assert b"Retry-After: 2\r\n" in refused
    for connection in opened:
        if connection is not refusing:
            connection.sendall(bytes(100))
            assert status(rest(connection)) == 200


def test_connections_that_wait_are_bounded(serve: Serve, stack: ExitStack) -> None:
    """The oldest without a whole request goes first; whoever comes is served."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
    served = serve(limit=LONG)
    opened = [stack.enter_context(served.connect()) for _ in range(MAX_CONNECTIONS + 10)]
    assert rest(opened[0]) == b""
    opened[-1].sendall(head() + b"ok")
    assert status(rest(opened[-1])) == 200


def test_without_files_left_for_connections_the_next_one_is_served(
    serve: Serve, stack: ExitStack
) -> None:
    """Those that wait are shut; the server neither ends nor turns deaf."""
    served = serve(limit=LONG)
    resource.prlimit(_worker(served), resource.RLIMIT_NOFILE, (64, 64))
    for _ in range(100):
        stack.enter_context(served.connect()).sendall(b"POST /ec")
    assert status(answer(served, head() + b"ok")) == 200


def _worker(served: Served) -> int:
    """Find gunicorn's process that serves."""
    children = Path(f"/proc/{served.process.pid}/task/{served.process.pid}/children")
    return int(children.read_text().split()[0])


def test_a_connection_may_end_its_sending_side_with_its_request(serve: Serve) -> None:
    """As `nc -N` does: what is whole is answered."""
    served = serve(limit=LONG)
    with served.connect() as connection:
        connection.sendall(head() + b"ok")
        connection.shutdown(socket.SHUT_WR)
        assert status(rest(connection)) == 200


def test_a_form_that_brings_a_token_is_read_from_a_stranger(serve: Serve) -> None:
    """If it is small, and by the threads of those who have none; half of one is closed in time."""
    served = serve()
    whole = answer(served, head("/form", 2, STRANGER) + b"ok")
    assert (status(whole), whole.endswith(b"ok")) == (200, True)
    assert status(answer(served, head("/form", 5000, STRANGER))) == 401
    assert answer(served, head("/form", 4096, STRANGER) + b"half") == b""
    assert served.line() == "cut"
