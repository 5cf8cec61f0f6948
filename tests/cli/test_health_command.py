"""`postsync health` against a real server on loopback."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from doors import doors
from werkzeug.serving import make_server

from receiver.cli.health import health
from receiver.core.errors import ServerError, Unreachable
from receiver.ledger.engine.ledger import Ledger


@pytest.fixture
def port(ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A server, and settings that name its port as a container's would."""
    with doors(ledger, tmp_path) as made:
        server = make_server("127.0.0.1", 0, made.app, threaded=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        monkeypatch.delenv("POSTSYNC_URL", raising=False)
        monkeypatch.setenv("POSTSYNC_PORT", str(server.port))
        try:
            yield server.port
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


@pytest.mark.usefixtures("port")
def test_the_server_of_this_host_is_healthy() -> None:
    """Its port is that of the settings, and no token is needed."""
    result = CliRunner().invoke(health, catch_exceptions=False)
    assert (result.exit_code, result.output) == (0, "healthy\n")


@pytest.mark.usefixtures("port")
def test_an_unhealthy_server_is_told_with_its_reasons(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `/healthz` has them: its dispatcher never gave a sign of life."""
    monkeypatch.setattr("receiver.web.health.DEAD_AFTER", 0.0)
    with pytest.raises(ServerError, match="answered 503: the dispatcher has never given a sign"):
        CliRunner().invoke(health, catch_exceptions=False)


def test_a_server_that_is_not_there_is_another_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the exit code tells them apart; POSTSYNC_URL comes before the port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setenv("POSTSYNC_URL", url)
    with pytest.raises(Unreachable, match=url):
        CliRunner().invoke(health, catch_exceptions=False)
