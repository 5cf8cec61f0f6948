"""Our server on a real socket, with a small app behind it."""

from __future__ import annotations

import json
import os
import socket
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, TypeAlias

import serve_echo
from forked import Forked, run

ROOT = Path(__file__).parents[1]
LIMIT = 1.0
"""Seconds that a request may take to arrive here."""


class Served:
    """A running server; settings are given as for `Settings`."""

    def __init__(
        self, config: Path | None = None, limit: float = LIMIT, **settings: object
    ) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._files = ExitStack()
        self._complaints = self._files.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 it is
        reads, into = os.pipe()
        out, writes = os.pipe()
        self._into = self._files.enter_context(os.fdopen(into, "w"))
        self._out = self._files.enter_context(os.fdopen(out))
        self.process = Forked(
            serve_echo.main, str(self.port), str(limit), str(config or ""), cwd=ROOT,
            environ=environ_of(settings), streams=(reads, writes, self._complaints.fileno()),
        )  # fmt: skip
        os.close(reads)
        os.close(writes)
        self.before: list[str] = []
        while (line := self.line()) != "built":
            assert line, "the server did not start"
            self.before.append(line)

    def line(self) -> str:
        """Wait for the next line of its stdout."""
        return self._out.readline().strip()

    def errors(self) -> str:
        """What it has written on stderr until now."""
        return os.pread(self._complaints.fileno(), 1 << 20, 0).decode()

    def let_go(self) -> None:
        """End what `/held` waits for."""
        self._into.write("\n")
        self._into.flush()

    def event(self, name: str) -> dict[str, Any]:
        """Read on to a line of the log with this event."""
        while line := self.line():
            if line.startswith("{") and (told := json.loads(line))["event"] == name:
                return dict(told)
        raise EOFError(name)

    def end(self) -> None:
        """End it; what it has said may still be read."""
        self.process.terminate()
        self._into.close()  # nothing is held any longer
        self.process.wait(120)

    def stop(self) -> None:
        """End it, and forget what it has said."""
        self.end()
        self._files.close()

    def connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        connection.settimeout(60)
        return connection


def environ_of(settings: Mapping[str, object]) -> dict[str, str]:
    given = {f"POSTSYNC_{name.upper()}": str(value) for name, value in settings.items()}
    return os.environ | given


def refused(config: Path | None = None, **settings: object) -> str:
    """Start a server that does not begin to serve; what it says."""
    arguments = ("0", "1", str(config or ""))
    ended = run(serve_echo.main, *arguments, cwd=ROOT, environ=environ_of(settings))
    assert ended.returncode == 1
    return ended.stderr


Serve: TypeAlias = Callable[..., Served]


def head(path: str = "/echo", length: int = 2, *more: str) -> bytes:
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: here",
        "Connection: close",
        f"Content-Length: {length}",
        *more,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def rest(connection: socket.socket) -> bytes:
    """Read until the server closes."""
    pieces = []
    with suppress(ConnectionResetError):
        while piece := connection.recv(1 << 16):
            pieces.append(piece)
    return b"".join(pieces)


def status(answer: bytes) -> int:
    return int(answer.split(maxsplit=2)[1])


def held(connection: socket.socket, begun: float) -> tuple[bytes, float]:
    """Read until the server closes; what came, and the seconds since then, the connection's too."""
    return rest(connection), time.monotonic() - begun
