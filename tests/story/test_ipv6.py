"""Without an address of IPv4: the server, who asks it, and what its rules call."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from commands import synced, told, typed
from service import Service, wait_for

RULES = """
version: 1
rules:
- name: purge
  match: {{resources: [{{kind: ConfigMap}}]}}
  actions: [{{uses: varnish.purge, target: batch, with: {{caches: ["http://[::1]:{port}"]}}}}]
"""


class Cache(BaseHTTPRequestHandler):
    purged: list[str] = []  # noqa: RUF012 the test's own

    def do_PURGE(self) -> None:
        self.purged.append(self.path)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


class Server(HTTPServer):
    address_family = socket.AF_INET6


@pytest.fixture
def port() -> Iterator[int]:
    """That of a cache that listens on IPv6 alone."""
    try:
        server = Server(("::1", 0), Cache)
    except OSError:
        pytest.skip("this machine has no IPv6")
    with closing(server.socket):
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_a_sync_comes_and_a_purge_goes_by_ipv6(tmp_path: Path, port: int) -> None:
    """The addresses have brackets: POSTSYNC_URL, and the one in the rule."""
    service = Service(tmp_path, RULES.format(port=port), host="::1")
    service.url = service.environ["POSTSYNC_URL"] = f"http://[::1]:{service.port}"
    try:
        service.start()
        assert typed(service, "health").returncode == 0
        synced(service, "a")
        wait_for(lambda: Cache.purged == ["/"], 20, "the purge")
        wait_for(lambda: bool(told(service, "runs", "--state", "succeeded")), 20, "its outcome")
    finally:
        service.kill()
