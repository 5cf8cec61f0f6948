"""Our server on a real socket, with a small app behind it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

ROOT = Path(__file__).parents[1]
PROGRAM = Path(__file__).parent / "web/serve_echo.py"
LIMIT = 1.0
"""Seconds that a request may take to arrive here."""


class Served:
    """A running server; settings are given as for `Settings`."""

    def __init__(
        self,
        config: Path | None = None,
        errors: int = subprocess.DEVNULL,
        limit: float = LIMIT,
        **settings: object,
    ) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        command = [sys.executable, str(PROGRAM), str(self.port), str(limit)]
        given = {f"POSTSYNC_{name.upper()}": str(value) for name, value in settings.items()}
        self.process = subprocess.Popen(
            [*command, *([str(config)] if config else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=ROOT,
            env=os.environ | given,
        )
        self.before: list[str] = []
        while (line := self.line()) != "built":
            assert line, "the server did not start"
            self.before.append(line)

    def line(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def event(self, name: str) -> dict[str, Any]:
        """Read on to a line of the log with this event."""
        while line := self.line():
            if line.startswith("{") and (told := json.loads(line))["event"] == name:
                return dict(told)
        raise EOFError(name)

    def stop(self) -> None:
        self.process.terminate()
        self.process.communicate(timeout=120)

    def connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        connection.settimeout(60)
        return connection


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
