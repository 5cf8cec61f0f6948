"""A real Varnish on loopback, before an origin that counts what it is asked."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from receiver.testkit import Reply, Seen, peer

VCL = """
vcl 4.1;
import std;
backend origin { .host = "127.0.0.1"; .port = "@@PORT@@"; }
acl purgers { "127.0.0.1"; }
sub vcl_recv {
  if (req.method == "PURGE" || req.method == "BAN") {
    if (!client.ip ~ purgers) { return (synth(405)); }
    if (req.method == "PURGE") { return (purge); }
    if (std.ban(req.http.x-ban)) { return (synth(200, "banned")); }
    return (synth(400, std.ban_error()));
  }
}
sub vcl_backend_response { set beresp.ttl = 1h; }
"""


@dataclass
class Cache:
    """Where it listens, and what its origin was asked."""

    url: str
    asked: list[Seen]

    def get(self, path: str, host: str = "www.example.com") -> None:
        """Ask for an object as a browser does."""
        parts = urlsplit(self.url)
        with socket.create_connection((parts.hostname or "", parts.port or 0), 10) as line:
            line.sendall(
                f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
            )
            while line.recv(4096):
                pass

    def count(self, path: str) -> int:
        """How often the origin was asked for a path."""
        return sum(seen.path == path for seen in self.asked)


@contextmanager
def varnish() -> Iterator[Cache]:
    """Start one; skip the test where there is none."""
    if shutil.which("varnishd") is None:
        pytest.skip("varnishd is not installed (Debian: varnish)")
    with (
        peer(lambda _: Reply(200, b"page", {"Cache-Control": "max-age=3600"})) as origin,
        tempfile.TemporaryDirectory() as folder,
    ):
        config = Path(folder, "default.vcl")
        config.write_text(VCL.replace("@@PORT@@", str(urlsplit(origin.url).port)))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        process = subprocess.Popen(
            ["varnishd", "-j", "none", "-F", "-n", f"{folder}/work", "-a", f"127.0.0.1:{port}",
             "-f", str(config), "-s", "malloc,16m"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            _wait_for(port, process)
            yield Cache(f"http://127.0.0.1:{port}", origin.seen)
        finally:
            process.terminate()
            process.wait(20)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError("varnishd does not answer")
