from __future__ import annotations

import socket
import threading
import time

import pytest
from peers import Reply, closed_port, peer, raw_peer

from receiver.core.errors import TemporaryError
from receiver.outbound import Outbound
from receiver.outbound.client import HttpClient
from receiver.outbound.secret_masking import Masker

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def _client(outbound: Outbound, seconds: float = 10) -> HttpClient:
    return outbound.http(time.monotonic() + seconds, Masker(()))


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def test_each_line_comes_before_the_next_one_is_sent(outbound: Outbound) -> None:
    """Also where a chunk ends within a line."""
    told = threading.Event()

    def script(connection: socket.socket, _: threading.Event) -> None:
        connection.recv(4096)
        connection.sendall(HEAD + _chunk(b"one\n\ntw"))
        assert told.wait(10)
        connection.sendall(_chunk(b"o\n") + b"0\r\n\r\n")

    with raw_peer(script) as port, _client(outbound).stream(f"http://127.0.0.1:{port}") as stream:
        assert stream.answer.status == 200
        assert next(stream.lines) == b"one"
        told.set()
        assert list(stream.lines) == [b"two"]


def test_the_deadline_ends_a_stream_in_peace(outbound: Outbound) -> None:
    """Also where its server sends a byte now and then; that is what a watch ends with."""

    def script(connection: socket.socket, over: threading.Event) -> None:
        connection.recv(4096)
        connection.sendall(HEAD + _chunk(b"one\n"))
        while not over.wait(0.05):
            connection.sendall(_chunk(b" "))

    began = time.monotonic()
    with raw_peer(script) as port:
        with _client(outbound, 1).stream(f"http://127.0.0.1:{port}") as stream:
            assert list(stream.lines) == [b"one"]
        assert 0.9 < time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (_chunk(b"one\ntw"), "closed before the answer's end"),
        (_chunk(b"one\ntw") + b"0\r\n\r\n", "closed before the answer's end"),
        (_chunk(b"one\n"), "closed before the answer's end"),
        (_chunk(b"one\n") + b"hush\r\n", "the length of a chunk is no number"),
        (_chunk(b"one\n") + _chunk(b"x" * 200), "more than 100 bytes"),
    ],
)
def test_a_stream_that_breaks_off_says_so(outbound: Outbound, sent: bytes, told: str) -> None:
    """After all of its whole lines."""

    def script(connection: socket.socket, _: threading.Event) -> None:
        connection.recv(4096)
        connection.sendall(HEAD + sent)

    with (
        raw_peer(script) as port,
        _client(outbound).stream(f"http://127.0.0.1:{port}", longest=100) as stream,
    ):
        assert next(stream.lines) == b"one"
        with pytest.raises(TemporaryError, match=told):
            next(stream.lines)


def test_what_is_no_success_has_its_body_and_no_lines(outbound: Outbound) -> None:
    """And its connection serves the next request."""
    with peer(lambda _: Reply(403, b"no\nway\n")) as there:
        for _ in range(2):
            with _client(outbound).stream(there.url) as stream:
                assert (stream.answer.status, stream.answer.body) == (403, b"no\nway\n")
                assert list(stream.lines) == []
    assert len({seen.port for seen in there.seen}) == 1


def test_a_stream_that_cannot_be_opened_fails_as_a_request_does(outbound: Outbound) -> None:
    """In the same words."""
    with (
        pytest.raises(TemporaryError, match="connection refused"),
        _client(outbound).stream(f"http://127.0.0.1:{closed_port()}"),
    ):
        pass


def test_other_requests_may_be_sent_while_a_stream_is_read(outbound: Outbound) -> None:
    """By the same thread, each under its own deadline."""

    def script(connection: socket.socket, over: threading.Event) -> None:
        connection.recv(4096)
        connection.sendall(HEAD + _chunk(b"one\ntwo\n"))
        over.wait()

    with raw_peer(script) as port, peer() as there:
        with _client(outbound, 2).stream(f"http://127.0.0.1:{port}") as stream:
            lines = []
            for line in stream.lines:
                lines.append(line)
                assert _client(outbound).send("GET", there.url).status == 200
        assert lines == [b"one", b"two"]
