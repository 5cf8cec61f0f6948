"""Commands whose address is that of another service: told in one line, whatever it answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from click.testing import CliRunner
from in_process import threaded

from receiver.cli import cli
from receiver.core.errors import ServerError


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """A service on loopback that says the same to everybody; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    with threaded(HTTPServer(("127.0.0.1", 0), Handler)) as url:
        yield url


@pytest.mark.parametrize("command", ["status", "syncs", "runs", "plans", "pauses"])
@pytest.mark.parametrize(
    ("status", "body", "what"),
    [
        (200, b'{"items": []}', "an answer without"),
        (200, b"[1]", "no JSON object"),
        (404, b"null", "no JSON object"),
        (200, b"<html>", "no JSON"),
    ],
)
def test_another_service_is_told_as_such(command: str, status: int, body: bytes, what: str) -> None:
    """No traceback: the answer, and that the address may be a wrong one."""
    with answering(status, body) as url:
        error = CliRunner().invoke(cli, [command, "--url", url]).exception
    assert isinstance(error, ServerError)
    assert f"{url} answered {status}, and {what}" in str(error)
    assert "POSTSYNC_URL" in str(error)
