"""The server on real sockets: slow, silent and lingering senders, TLS, and the end."""

from __future__ import annotations

import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
LIMIT = 1.0
"""Seconds that a request may take to arrive here."""


class Served:
    """A running server."""

    def __init__(self, config: Path | None, errors: int = subprocess.DEVNULL) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        command = [sys.executable, str(HERE / "serve_echo.py"), str(self.port), str(LIMIT)]
        self.process = subprocess.Popen(
            [*command, *([str(config)] if config else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=ROOT,
        )
        assert self.line() == "built"

    def line(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        connection.settimeout(20)
        return connection


@pytest.fixture
def serve() -> Iterator[Callable[..., Served]]:
    started: list[Served] = []

    def start(config: Path | None = None, errors: int = subprocess.DEVNULL) -> Served:
        started.append(Served(config, errors))
        return started[-1]

    yield start
    for served in started:
        served.process.terminate()
        served.process.communicate(timeout=20)


def head(path: str = "/echo", length: int = 2) -> bytes:
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: here",
        "Connection: close",
        f"Content-Length: {length}",
    ]
    return "\r\n".join([*lines, "", ""]).encode()


WHOLE = head("/held") + b"ok"
EMPTY = head("/held", length=0)
IN_CHUNKS = (
    head("/held").replace(b"Content-Length: 2", b"Transfer-Encoding: chunked")
    + b"2\r\nok\r\n0\r\n\r\n"
)


def rest(connection: socket.socket) -> bytes:
    """Read until the server closes."""
    pieces = []
    with suppress(ConnectionResetError):
        while piece := connection.recv(1 << 16):
            pieces.append(piece)
    return b"".join(pieces)


def status(answer: bytes) -> int:
    return int(answer.split(maxsplit=2)[1])


def timed(connection: socket.socket) -> tuple[bytes, float]:
    begun = time.monotonic()
    return rest(connection), time.monotonic() - begun


@pytest.mark.parametrize("sent", [b"", b"POST /ec", head()[:-2]])
def test_a_sender_without_a_whole_head_is_cut_off(
    serve: Callable[..., Served], sent: bytes
) -> None:
    """Its thread is free again after the limit, and the cut is counted."""
    served = serve()
    with served.connect() as connection:
        connection.sendall(sent)
        answer, seconds = timed(connection)
    assert answer == b""
    assert seconds == pytest.approx(LIMIT, abs=0.7)
    assert served.line() == "cut"


def test_a_sender_whose_body_stops_is_told_so(serve: Callable[..., Served]) -> None:
    """Only reading is shut, so the 408 still reaches whoever listens."""
    served = serve()
    with served.connect() as connection:
        connection.sendall(head(length=10) + b"half")
        answer, seconds = timed(connection)
    assert status(answer) == 408
    assert seconds == pytest.approx(LIMIT, abs=0.7)


def test_a_sender_who_drips_is_cut_off_all_the_same(serve: Callable[..., Served]) -> None:
    """The limit is on the whole request, not on the silence between two bytes."""
    served = serve()
    with served.connect() as connection:
        connection.sendall(head(length=1000))
        begun = time.monotonic()
        connection.settimeout(0.1)
        answer = b""
        while not answer and time.monotonic() < begun + 10:
            with suppress(TimeoutError):
                connection.sendall(b".")
                answer = connection.recv(1 << 16)
    assert status(answer) == 408
    assert time.monotonic() - begun == pytest.approx(LIMIT, abs=0.9)


def test_a_body_in_chunks_that_ends_early_is_told_so(serve: Callable[..., Served]) -> None:
    """There is no announced length to compare with, but a last chunk that is missing."""
    served = serve()
    text = head().replace(b"Content-Length: 2", b"Transfer-Encoding: chunked")
    with served.connect() as connection:
        connection.sendall(text + b"5\r\nabcde\r\n")
        connection.shutdown(socket.SHUT_WR)
        assert status(rest(connection)) == 408


@pytest.mark.parametrize("sent", [WHOLE, IN_CHUNKS, EMPTY])
def test_what_an_app_does_after_the_request_is_there_is_not_cut(
    serve: Callable[..., Served], sent: bytes
) -> None:
    """Waiting for a commit is no slowness of the sender: nothing is shut, and nothing counted."""
    served = serve()
    assert served.process.stdin
    with served.connect() as connection, served.connect() as silent:
        connection.sendall(sent)
        assert served.line() == "began"
        # Whose time began later is cut off: that of the first is over, too.
        assert (rest(silent), served.line()) == (b"", "cut")
        served.process.stdin.write("\n")
        served.process.stdin.flush()
        assert rest(connection).endswith(b"ended")
    served.process.terminate()
    assert served.line() == "stopped"


def test_senders_who_do_not_close_hold_up_nobody(serve: Callable[..., Served]) -> None:
    """A server that closes first has to wait for the other side; not where it accepts."""
    served = serve()
    lingering = [served.connect() for _ in range(3)]
    for connection in lingering:
        connection.sendall(head() + b"ok")
        assert status(connection.recv(1 << 16)) == 200
    with served.connect() as connection:
        begun = time.monotonic()
        connection.sendall(head() + b"ok")
        assert status(connection.recv(1 << 16)) == 200
        assert time.monotonic() - begun < 1
    for connection in lingering:
        connection.close()


def test_sigterm_finishes_what_is_under_way_and_stops_the_parts(
    serve: Callable[..., Served], tmp_path: Path
) -> None:
    """An answer that was promised is given; the writer is stopped; the exit is clean."""
    config = tmp_path / "gunicorn.conf.py"
    config.write_text('loglevel = "info"\n')
    served = serve(config, subprocess.PIPE)
    assert served.process.stdin
    assert served.process.stderr
    with served.connect() as connection:
        connection.sendall(head("/held") + b"ok")
        assert served.line() == "began"
        served.process.send_signal(signal.SIGTERM)
        while "Handling signal: term" not in served.process.stderr.readline():
            pass
        served.process.stdin.write("\n")
        served.process.stdin.flush()
        assert rest(connection).endswith(b"ended")
    output, _ = served.process.communicate(timeout=20)
    assert output.split() == ["stopped"]
    assert served.process.returncode == 0


@pytest.fixture
def tls(tmp_path: Path) -> Path:
    """Write a gunicorn configuration with a certificate of our own."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed, which makes the certificate")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    config = tmp_path / "gunicorn.conf.py"
    shipped = (ROOT / "config/gunicorn.conf.py").read_text()
    for name, file in (("certfile", "cert.pem"), ("keyfile", "key.pem")):
        line = next(line for line in shipped.splitlines() if line.startswith(f"# {name} = "))
        shipped = shipped.replace(line, f"{name} = {str(tmp_path / file)!r}")
    config.write_text(shipped)
    return config


def test_the_shipped_configuration_serves_tls_and_cuts_slow_senders_there(
    serve: Callable[..., Served], tls: Path
) -> None:
    """Its commented lines are all that TLS takes."""
    served = serve(tls)
    context = ssl.create_default_context(cafile=tls.with_name("cert.pem"))
    context.check_hostname = False
    with context.wrap_socket(served.connect()) as connection:
        connection.sendall(head() + b"ok")
        assert status(rest(connection)) == 200
    with context.wrap_socket(served.connect()) as connection:
        connection.sendall(head(length=10) + b"half")
        begun = time.monotonic()
        with pytest.raises(ssl.SSLError):  # TLS cannot answer when its input has broken off
            rest(connection)
        assert time.monotonic() - begun == pytest.approx(LIMIT, abs=0.7)
    with served.connect() as silent:
        _, seconds = timed(silent)
    assert seconds == pytest.approx(LIMIT, abs=0.7)


def test_a_configuration_with_a_typo_is_refused(tmp_path: Path) -> None:
    """Gunicorn itself would ignore an unknown name in silence."""
    config = tmp_path / "gunicorn.conf.py"
    config.write_text("backlogg = 3\n")
    command = [sys.executable, str(HERE / "serve_echo.py"), "0", "1", str(config)]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)
    assert ended.returncode == 1
    assert "there is no setting backlogg" in ended.stderr
