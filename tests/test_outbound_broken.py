"""An answer that is no valid HTTP is the target's trouble: temporary, and said in plain words."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from peers import Reply, door, peer, raw_peer

from receiver.core.errors import TemporaryError
from receiver.outbound import Outbound

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
SECRET = "hush-hush-1"

BROKEN = {
    "a chunk of -5": (CHUNKED + b"-5\r\nhello\r\n0\r\n\r\n", "its body cannot be read"),
    "a chunk of zz": (CHUNKED + b"zz\r\nhello\r\n", "the length of a chunk is no number"),
    "a chunk line without end": (CHUNKED + b"5" * 100_000, "the length of a chunk is no number"),
    "two lengths": (OK + b"Content-Length: 3\r\nContent-Length: 5\r\n\r\nhello", "two lengths"),
    "a list of lengths": (OK + b"Content-Length: 3, 5\r\n\r\nhello", "it has two lengths"),
    "a length of -5": (OK + b"Content-Length: -5\r\n\r\nhello", "its length is no number"),
    "a length in words": (OK + b"Content-Length: five\r\n\r\nhello", "its length is no number"),
    "a status in words": (b"HTTP/1.1 fine OK\r\n\r\n", "it does not begin with a status line"),
    "a status of 2000": (b"HTTP/1.1 2000 OK\r\n\r\n", "it does not begin with a status line"),
    "another protocol": (b"SSH-2.0-hush-hush-1\r\n", "it does not begin with a status line"),
    "another version": (b"HTTP/9.9 200 OK\r\n\r\n", "its version of HTTP is unknown"),
    "a head that is cut in a line": (OK + b"Content-Ty", "its head breaks off"),
    "a head that is cut between two": (OK + b"Server: x\r\n", "its head breaks off"),
    "a line without a name": (OK + b"hush-hush-1\r\n\r\n", "a line of its head is no header"),
    "a header without end": (OK + b"X: " + b"a" * 100_000, "a line of its head is too long"),
    "a status without end": (b"HTTP/1.1 200 " + b"a" * 100_000, "a line of its head is too long"),
    "200 headers": (OK + b"X: a\r\n" * 200 + b"\r\n", "its head has too many lines"),
    "no gzip": (
        OK + b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello",
        "its body is not compressed as its head says",
    ),
    "no deflate": (
        OK + b"Content-Encoding: deflate\r\nContent-Length: 5\r\n\r\nhello",
        "its body is not compressed as its head says",
    ),
    "gzip twenty times": (
        OK + b"Content-Encoding: " + b"gzip, " * 19 + b"gzip\r\nContent-Length: 2\r\n\r\nhi",
        "its body is not compressed as its head says",
    ),
}


def _saying(answer: bytes) -> Callable[[socket.socket, threading.Event], None]:
    def script(connection: socket.socket, over: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(answer)
        connection.shutdown(socket.SHUT_WR)
        over.wait(10)

    return script


@pytest.fixture(scope="module")
def outbound() -> Iterator[Outbound]:
    made = Outbound()
    yield made
    made.close()


@pytest.mark.parametrize(("answer", "words"), BROKEN.values(), ids=BROKEN)
def test_an_answer_that_is_no_http_is_temporary(
    outbound: Outbound, answer: bytes, words: str
) -> None:
    """It says what is wrong with it, and quotes nothing of it."""
    with raw_peer(_saying(answer)) as port, pytest.raises(TemporaryError) as caught:
        door(outbound, 10, SECRET).send("GET", f"http://127.0.0.1:{port}/")
    start = f"127.0.0.1:{port}: the target's answer is no valid HTTP: "
    assert str(caught.value).startswith(start)
    assert words in str(caught.value)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 5\r\nContent-Length: 5\r\n",
        b"Content-Length:  5\t\r\n",
        b"Content-Length: 5\r\nContent-Type: text/plain; charset=nonsense\r\n",
        b"Content-Length: 5\r\nContent-Type: multipart/mixed; boundary=a\r\n",
        b"Content-Length: 5\r\nX-Folded: a\r\n b\r\n",
        b"Connection: close\r\n",
    ],
)
def test_what_is_odd_but_clear_is_taken(outbound: Outbound, head: bytes) -> None:
    """A length that is repeated, an unknown charset, an end by the connection's."""
    with raw_peer(_saying(OK + head + b"\r\nhello")) as port:
        answer = door(outbound).send("GET", f"http://127.0.0.1:{port}/")
    assert (answer.status, answer.text) == (200, "hello")


def test_a_continue_before_the_answer_is_passed_over(outbound: Outbound) -> None:
    """RFC 9110, 15.2: a client must be able to read several."""
    answer = b"HTTP/1.1 100 Continue\r\n\r\n" * 2 + OK + b"Content-Length: 2\r\n\r\n{}"
    with raw_peer(_saying(answer)) as port:
        assert door(outbound).send("GET", f"http://127.0.0.1:{port}/").body == b"{}"


def test_a_compressed_answer_on_a_connection_that_is_kept(outbound: Outbound) -> None:
    """The stricter reading leaves the connection as it was."""
    body = gzip.compress(b"hello")
    with peer(lambda _: Reply(200, body, {"Content-Encoding": "gzip"})) as there:
        answers = [door(outbound).send("GET", there.url).body for _ in range(3)]
    assert answers == [b"hello"] * 3
    assert len({seen.port for seen in there.seen}) == 1
