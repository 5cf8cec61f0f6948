from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import pytest
from peers import Reply, closed_port, door, peer, raw_peer

from receiver.core.errors import TemporaryError
from receiver.outbound import Outbound
from receiver.outbound.guard import SPARE, Watchdog, look_up

Script = Callable[[socket.socket, threading.Event], None]


def _drip(start: bytes, drop: bytes) -> Script:
    def script(connection: socket.socket, over: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(start)
        for _ in range(DROPS):
            if over.wait(0.02):
                return
            connection.sendall(drop)

    return script


def _silent(connection: socket.socket, over: threading.Event) -> None:
    connection.recv(65536)
    over.wait(60)


HEAD = b"HTTP/1.1 200 OK\r\n"
DROPS = 3000
"""A minute of them: whoever is not cut before is answered in another way in the end."""


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(_silent, id="silent"),
        pytest.param(_drip(b"", b"H"), id="drips-status"),
        pytest.param(_drip(HEAD, b"X-A: b\r\n"[:1]), id="drips-headers"),
        pytest.param(_drip(HEAD + b"Content-Length: 99999\r\n\r\n", b"x"), id="drips-body"),
        pytest.param(_drip(HEAD + b"Connection: close\r\n\r\n", b"x"), id="drips-without-length"),
        pytest.param(
            _drip(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"), id="drips-chunks"
        ),
    ],
)
def test_a_slow_peer_is_cut_at_the_deadline(outbound: Outbound, script: Script) -> None:
    """The time is that of the whole exchange, whatever arrives meanwhile."""
    with raw_peer(script) as port:
        began = time.monotonic()
        with pytest.raises(TemporaryError) as caught:
            door(outbound, 0.4).send("GET", f"http://127.0.0.1:{port}/")
        took = time.monotonic() - began
    assert str(caught.value) == f"no answer from 127.0.0.1:{port} within 0.4 s"
    assert took > 0.35


def test_a_dripping_handshake_is_cut_too(outbound: Outbound) -> None:
    """TLS is no way around the deadline."""

    def script(connection: socket.socket, over: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(b"\x16\x03\x03\x3f\xff\x02\x00\x3f\xfb")  # a long ServerHello begins
        for _ in range(DROPS):
            if over.wait(0.02):
                return
            connection.sendall(b"\x03")

    with (
        raw_peer(script) as port,
        pytest.raises(TemporaryError, match=r"within 0\.4 s"),
    ):
        door(outbound, 0.4).send("GET", f"https://127.0.0.1:{port}/")


def test_a_time_that_is_over_sends_nothing(outbound: Outbound) -> None:
    """An attempt that is late before it begins is temporary."""
    with peer() as there, pytest.raises(TemporaryError, match=r"within 0\.0 s"):
        door(outbound, -1).send("GET", there.url)
    assert there.seen == []


def test_a_connection_lives_on_after_the_deadline_of_a_call_that_was_in_time(
    outbound: Outbound,
) -> None:
    """The watchdog lets go of what was answered."""
    with peer(lambda _: Reply(200, b"x")) as there:
        door(outbound, 0.2).send("GET", there.url)
        threading.Event().wait(0.3)
        door(outbound, 5).send("GET", there.url)
    assert len({seen.port for seen in there.seen}) == 1


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"])
def test_a_connection_that_is_closed_early_is_temporary(outbound: Outbound, sent: bytes) -> None:
    """Half an answer is none."""

    def script(connection: socket.socket, _over: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(sent)

    with raw_peer(script) as port, pytest.raises(TemporaryError) as caught:
        door(outbound).send("GET", f"http://127.0.0.1:{port}/")
    words = "the connection was closed before the answer's end"
    assert str(caught.value) == f"127.0.0.1:{port}: {words}"


def test_a_reset_is_temporary(outbound: Outbound) -> None:
    """It is said in plain words."""

    def script(connection: socket.socket, _over: threading.Event) -> None:
        connection.recv(65536)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    with raw_peer(script) as port, pytest.raises(TemporaryError) as caught:
        door(outbound).send("GET", f"http://127.0.0.1:{port}/")
    assert str(caught.value) == f"127.0.0.1:{port}: connection reset"


def test_what_is_no_http_is_temporary(outbound: Outbound) -> None:
    """A port with another protocol behind it may be a service that just starts."""

    def script(connection: socket.socket, _over: threading.Event) -> None:
        connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
        with suppress(OSError):
            connection.recv(65536)

    with raw_peer(script) as port, pytest.raises(TemporaryError) as caught:
        door(outbound).send("GET", f"http://127.0.0.1:{port}/")
    assert "object at" not in str(caught.value)


def test_a_peer_that_is_no_tls_is_temporary(outbound: Outbound) -> None:
    """Plain HTTP behind an https URL is told apart from a bad certificate."""
    with peer() as there, pytest.raises(TemporaryError, match="no TLS connection could be made"):
        door(outbound).send("GET", there.url.replace("http:", "https:"))


def test_many_threads_share_the_door(outbound: Outbound) -> None:
    """Each has its own deadline: slow ones are cut, quick ones are not."""
    results: list[str] = []

    def one(url: str, seconds: float) -> None:
        try:
            results.append(str(door(outbound, seconds).send("GET", url).status))
        except TemporaryError:
            results.append("late")

    hold = threading.Event()

    def answering(seen: object) -> Reply:
        if "slow" in getattr(seen, "path", ""):
            hold.wait(10)
        return Reply(200, b"x")

    with peer(answering) as there:
        pairs = [(there.url + ("/slow" if n % 4 == 0 else "/"), 3.0) for n in range(40)]
        threads = [threading.Thread(target=one, args=pair) for pair in pairs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        hold.set()
    assert sorted(results) == ["200"] * 30 + ["late"] * 10


def test_the_watchdog_forgets_what_was_released() -> None:
    """Released sockets do not gather until their deadline, be it an hour away."""
    watchdog = Watchdog()
    with socket.socket() as sock:
        for _ in range(1000):
            watchdog.release(watchdog.watch(sock, time.monotonic() + 3600))
        assert len(watchdog._heap) <= SPARE + 1
        assert not watchdog._watched


def test_a_resolver_that_is_silent_does_not_hold_the_attempt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The lookup is left behind when the time is over."""
    over = threading.Event()
    real = socket.getaddrinfo

    def slow(*args: object) -> object:
        if args[-1] == socket.AI_NUMERICHOST:
            return real(*args)  # type: ignore[arg-type]  # passed on
        over.wait(5)
        raise socket.gaierror(socket.EAI_AGAIN, "late")

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    with pytest.raises(TimeoutError):
        look_up("slow.example", closed_port(), 0.05)
    over.set()


def test_closing_the_door_ends_its_thread() -> None:
    """Also that of a door that nobody has used."""
    before = threading.active_count()
    with peer() as there:
        outbound = Outbound()
        door(outbound, 60).send("GET", there.url)
        outbound.close()
        outbound.close()
    Outbound().close()
    assert "watchdog" not in {thread.name for thread in threading.enumerate()[before:]}
