"""The server on real sockets: slow, silent and lingering senders, and the end."""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from pathlib import Path

import pytest
from served import LIMIT, Serve, Served, head, held, refused, rest, status
from service import wait_for

WHOLE = head("/held") + b"ok"
EMPTY = head("/held", length=0)
IN_CHUNKS = (
    head("/held").replace(b"Content-Length: 2", b"Transfer-Encoding: chunked")
    + b"2\r\nok\r\n0\r\n\r\n"
)


@pytest.mark.parametrize("sent", [b"", b"POST /ec", head()[:-2]])
def test_a_sender_without_a_whole_head_is_cut_off(serve: Serve, sent: bytes) -> None:
    """Its thread is free again after the limit, and the cut is counted."""
    served = serve()
    begun = time.monotonic()
    with served.connect() as connection:
        connection.sendall(sent)
        answer, seconds = held(connection, begun)
    assert answer == b""
    assert seconds >= LIMIT
    assert served.line() == "cut"


def test_a_sender_whose_body_stops_is_told_so(serve: Serve) -> None:
    """Only reading is shut, so the 408 still reaches whoever listens."""
    served = serve()
    begun = time.monotonic()
    with served.connect() as connection:
        connection.sendall(head(length=10) + b"half")
        answer, seconds = held(connection, begun)
    assert status(answer) == 408
    assert seconds >= LIMIT


def test_a_sender_who_drips_is_cut_off_all_the_same(serve: Serve) -> None:
    """The limit is on the whole request, not on the silence between two bytes."""
    served = serve()
    begun = time.monotonic()
    with served.connect() as connection:
        connection.sendall(head(length=1000))
        connection.settimeout(0.1)
        answer = b""
        while not answer and time.monotonic() < begun + 80:
            with suppress(TimeoutError):
                connection.sendall(b".")
                answer = connection.recv(1 << 16)
    assert status(answer) == 408
    assert time.monotonic() - begun >= LIMIT


def test_a_body_in_chunks_that_ends_early_is_told_so(serve: Serve) -> None:
    """There is no announced length to compare with, but a last chunk that is missing."""
    served = serve()
    text = head().replace(b"Content-Length: 2", b"Transfer-Encoding: chunked")
    with served.connect() as connection:
        connection.sendall(text + b"5\r\nabcde\r\n")
        connection.shutdown(socket.SHUT_WR)
        assert status(rest(connection)) == 408


@pytest.mark.parametrize("sent", [WHOLE, IN_CHUNKS, EMPTY])
def test_what_an_app_does_after_the_request_is_there_is_not_cut(serve: Serve, sent: bytes) -> None:
    """Waiting for a commit is no slowness of the sender: nothing is shut, and nothing counted."""
    served = serve()
    with served.connect() as connection, served.connect() as silent:
        connection.sendall(sent)
        assert served.line() == "began"
        # Whose time began later is cut off: that of the first is over, too.
        assert (rest(silent), served.line()) == (b"", "cut")
        served.let_go()
        assert rest(connection).endswith(b"ended")
    served.process.terminate()
    assert served.line() == "stopped"


def test_senders_who_do_not_close_hold_up_nobody(serve: Serve) -> None:
    """A server that closes first has to wait for the other side; not where it accepts.

    Without them, in the same seconds, the same request takes hardly less time.
    """
    served = serve()
    alone = max(_seconds(served) for _ in range(3))
    lingering = [served.connect() for _ in range(3)]
    for connection in lingering:
        connection.sendall(head() + b"ok")
        assert status(connection.recv(1 << 16)) == 200
    assert _seconds(served) < 1 + 8 * alone
    for connection in lingering:
        connection.close()


def _seconds(served: Served) -> float:
    """Send a request; how long its answer took."""
    with served.connect() as connection:
        begun = time.monotonic()
        connection.sendall(head() + b"ok")
        assert status(connection.recv(1 << 16)) == 200
        return time.monotonic() - begun


def test_sigterm_finishes_what_is_under_way_and_stops_the_parts(
    serve: Serve, tmp_path: Path
) -> None:
    """An answer that was promised is given; the writer is stopped; the exit is clean."""
    config = tmp_path / "gunicorn.conf.py"
    config.write_text('loglevel = "info"\n')
    served = serve(config)
    with served.connect() as connection:
        connection.sendall(head("/held") + b"ok")
        assert served.line() == "began"
        served.process.terminate()
        wait_for(lambda: "Handling signal: term" in served.errors(), 20, "the signal")
        served.let_go()
        assert rest(connection).endswith(b"ended")
    assert (served.line(), served.line()) == ("stopped", "")
    assert served.process.wait(120) == 0


def test_a_configuration_with_a_typo_is_refused(tmp_path: Path) -> None:
    """Gunicorn itself would ignore an unknown name in silence."""
    config = tmp_path / "gunicorn.conf.py"
    config.write_text("backlogg = 3\n")
    assert "there is no setting backlogg" in refused(config)


@pytest.mark.parametrize("setting", ["workers = 2", 'worker_class = "sync"', "preload_app = True"])
def test_a_configuration_of_several_workers_is_refused(tmp_path: Path, setting: str) -> None:
    """Each would have counts of its own, and a scrape would meet now one, now another."""
    config = tmp_path / "gunicorn.conf.py"
    config.write_text(f"{setting}\n")
    assert f"{setting.split(maxsplit=1)[0]} is not to be set" in refused(config)
