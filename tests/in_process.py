"""Commands in the test's own process, against a real server on loopback."""

from __future__ import annotations

import io
import math
import os
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from socketserver import TCPServer
from typing import Any, TypeAlias
from unittest.mock import patch

import pytest
from doors import doors, token_file
from werkzeug.serving import make_server
from werkzeug.wsgi import get_input_stream

from receiver.cli import main
from receiver.ledger.engine.ledger import Ledger

Postsync: TypeAlias = Callable[..., tuple[int, str, str]]
"""Runs a command; returns the exit code, stdout and stderr."""


@contextmanager
def threaded(server: TCPServer) -> Iterator[str]:
    """Have a server answer in a thread of its own; its address."""
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.socket.getsockname()[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def listening(
    ledger: Ledger, home: Path, *, posts: float = math.inf, **options: Any
) -> Iterator[str]:
    """Serve the app over a ledger; its address. The options are settings.

    After so many ``posts`` it answers as a proxy does whose server is gone.
    """
    left = posts
    with doors(ledger, home, **options) as made:

        def app(environ: dict[str, Any], start: Any) -> Any:
            nonlocal left
            left -= environ["REQUEST_METHOD"] == "POST"
            if left < 0:
                start("503 Service Unavailable", [("Content-Type", "application/json")])
                return [b'{"detail": "gone away"}']
            # As our own server does: a body ends where it was announced to end.
            environ["wsgi.input"] = get_input_stream(environ)
            return made.app(environ, start)

        with threaded(make_server("127.0.0.1", 0, app, threaded=True)) as url:
            yield url


def run_command(
    arguments: tuple[str, ...], *, environ: Mapping[str, str], folder: Path, answer: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a command as in a process of its own, without the second that its start takes.

    Args:
        arguments: what is typed after ``postsync``.
        environ: the whole environment.
        folder: where it is typed.
        answer: what is typed when it asks.
    """
    with (
        chdir(folder),
        patch.dict(os.environ, environ, clear=True),
        patch("sys.argv", ["postsync", *arguments]),
        patch("sys.stdin", io.StringIO(answer)),
        redirect_stdout(io.StringIO()) as out,
        redirect_stderr(io.StringIO()) as err,
        pytest.raises(SystemExit) as ended,
    ):
        main()
    code = int(ended.value.code or 0)
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


@pytest.fixture
def postsync(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Postsync:
    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["postsync", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return run


@pytest.fixture
def home(ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a checkout's tokens, with a server that knows them."""
    monkeypatch.delenv("POSTSYNC_TOKEN", raising=False)
    monkeypatch.setenv("POSTSYNC_HOME", str(tmp_path))
    token_file(tmp_path, "senders/zoo", "token-of-the-zoo-0123456")
    with listening(ledger, tmp_path) as url:
        monkeypatch.setenv("POSTSYNC_URL", url)
        yield tmp_path
