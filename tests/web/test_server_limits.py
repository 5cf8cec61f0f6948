"""What the server refuses before the app sees it: requests that are too long, or ambiguous."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest
from served import Serve, Served, head, rest, status

CHUNKED = head().replace(b"Content-Length: 2", b"Transfer-Encoding: chunked")


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """A server for all that it refuses, or serves, without remembering it."""
    made = Served()
    yield made
    made.stop()


def with_header(line: bytes) -> bytes:
    return head()[:-2] + line + b"\r\n\r\nok"


SECOND = b"POST /echo HTTP/1.1\r\nHost: here\r\nContent-Length: 2\r\n\r\nok"


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (head("/" + "a" * 5000) + b"ok", 414),
        (with_header(b"\r\n".join(b"X-%d: a" % i for i in range(120))), 431),
        (with_header(b"X-Long: " + b"a" * 10000), 431),
        (with_header(b"Transfer-Encoding: chunked") + SECOND, 400),
        (with_header(b"Transfer-Encoding: identity") + SECOND, 400),
        (with_header(b"Content-Length: 3") + SECOND, 400),
        (with_header(b"X-Name : a") + SECOND, 400),
        (with_header(b"X-Folded: a\r\n b") + SECOND, 400),
        (head().replace(b"Content-Length: 2", b"Content-Length: +2") + b"ok" + SECOND, 400),
        (CHUNKED + b"nonsense\r\nok\r\n0\r\n\r\n" + SECOND, 400),
        (CHUNKED + b"2\r\nokay\r\n0\r\n\r\n" + SECOND, 400),
        (CHUNKED + b"2 \r\nok\r\n0\r\n\r\n" + SECOND, 400),
        (with_header(b"Transfer-Encoding: brotli") + SECOND, 501),
        (with_header(b"Expect: a miracle") + SECOND, 417),
        (with_header(b"X-Many: a").replace(b"HTTP/1.1", b"HTTP/3.0") + SECOND, 505),
        (b"what is this\r\n\r\n" + SECOND, 400),
        (b"GET / HTTP/1.1\nHost: here\n\n" + SECOND, 400),
        (b"GET /" + b"a" * 5000, 414),
        (head()[:-2] + b"X-Endless: a\r\n" * 5000, 431),
    ],
)
def test_what_two_servers_may_read_differently_is_refused(
    served: Served, sent: bytes, expected: int
) -> None:
    """One problem and the end of the connection: nothing behind it is taken for a request."""
    with served.connect() as connection:
        connection.sendall(sent)
        answer = rest(connection)
    top, _, body = answer.partition(b"\r\n\r\n")
    problem = json.loads(body)
    assert (status(answer), problem["status"]) == (expected, expected)
    assert b"content-type: application/problem+json" in top.lower()
    assert problem["type"] == f"urn:postsync:problem:{problem['reason']}"
    assert problem["hint"]
    assert answer.count(b"\r\nServer: ") == 1


@pytest.mark.parametrize("step", [1, 3, 7])
def test_a_body_in_chunks_may_come_in_any_pieces(served: Served, step: int) -> None:
    """Its end is found wherever it is cut, with an extension and a trailer; a request follows."""
    body = b"5;a=b\r\nabcde\r\nA\r\n0\r\n\r\nabcde\r\n0\r\nX-Sum: 1\r\n\r\n"
    kept = CHUNKED.replace(b"Connection: close\r\n", b"")
    sent = kept + body + head() + b"ok"
    with served.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(sent), step):
            connection.sendall(sent[at : at + step])
        answer = rest(connection)
    assert answer.count(b"HTTP/1.1 200") == 2
    assert answer.index(b"\r\n\r\n15") < answer.index(b"\r\n\r\n2")


def test_a_body_in_chunks_is_bounded_as_any_other(serve: Serve) -> None:
    """It need not be sent to its end to be refused."""
    served = serve(limit=60.0, max_body=1024)
    with served.connect() as connection:
        connection.sendall(CHUNKED + b"FFFFFF\r\n" + bytes(4096))
        assert status(rest(connection)) == 413


def test_after_broken_chunks_the_connection_is_not_used_again(served: Served) -> None:
    """Where the next request would begin is unknown, whatever the sender wanted."""
    kept = CHUNKED.replace(b"Connection: close\r\n", b"")
    with served.connect() as connection:
        connection.sendall(kept + b"2\r\nokay\r\n0\r\n\r\n" + SECOND)
        answer = rest(connection)
    assert status(answer) == 400
    assert answer.count(b"HTTP/1.1 ") == 1


def test_requests_in_one_go_are_answered_in_their_order(served: Served) -> None:
    """Pipelining is allowed by HTTP/1.1, and nothing is lost by it."""
    first = head(length=3).replace(b"Connection: close\r\n", b"") + b"one"
    with served.connect() as connection:
        connection.sendall(first + head() + b"ok")
        answer = rest(connection)
    assert answer.count(b"HTTP/1.1 200") == 2
    assert answer.index(b"\r\n\r\n3") < answer.index(b"\r\n\r\n2")


def test_the_servers_version_is_not_told(served: Served) -> None:
    """Its name is in every answer; what to look up in a list of holes is not."""
    with served.connect() as connection:
        connection.sendall(head() + b"ok")
        answer = rest(connection)
    lines = [line for line in answer.split(b"\r\n") if line.lower().startswith(b"server:")]
    assert lines == [b"Server: gunicorn"]


def test_nobodys_word_for_the_scheme_or_the_path_counts(served: Served) -> None:
    """Gunicorn by itself believes whoever connects from this host."""
    for line in (b"X-Forwarded-Proto: https", b"SCRIPT_NAME: /echo", b"PATH_INFO: /held"):
        with served.connect() as connection:
            connection.sendall(with_header(line).replace(b"/echo HTTP", b"/seen HTTP"))
            assert rest(connection).endswith(b"http /seen")
