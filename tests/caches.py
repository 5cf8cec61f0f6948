"""Real caches on loopback, before an origin that counts what it is asked."""

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

from receiver.testkit import Peer, Reply, Seen, peer

VCL = """
vcl 4.1;
import std;
backend origin { .host = "127.0.0.1"; .port = "@@ORIGIN@@"; }
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

PURGE_MODULE = Path("/usr/lib/nginx/modules/ngx_http_cache_purge_module.so")
"""Its form `proxy_cache_purge PURGE from ...` crashes in Debian 12; a location of its own works."""

NGINX = f"""
load_module {PURGE_MODULE};
daemon off;
master_process off;
pid @@FOLDER@@/pid;
error_log @@FOLDER@@/error.log;
events {{}}
http {{
  access_log off;
  proxy_temp_path @@FOLDER@@/temp;
  client_body_temp_path @@FOLDER@@/body;
  fastcgi_temp_path @@FOLDER@@/fastcgi;
  uwsgi_temp_path @@FOLDER@@/uwsgi;
  scgi_temp_path @@FOLDER@@/scgi;
  proxy_cache_path @@FOLDER@@/cache keys_zone=pages:1m;
  proxy_cache_key $host$uri;
  server {{
    listen 127.0.0.1:@@PORT@@;
    location / {{
      proxy_pass http://127.0.0.1:@@ORIGIN@@;
      proxy_cache pages;
    }}
    location ~ ^/purge(/.*) {{
      allow 127.0.0.1;
      deny all;
      proxy_cache_purge pages $host$1;
    }}
  }}
}}
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
    """Start a Varnish; skip the test where there is none."""
    if shutil.which("varnishd") is None:
        pytest.skip("varnishd is not installed (Debian: varnish)")
    with _cache(VCL) as (folder, port, config, origin):
        command = ["varnishd", "-j", "none", "-F", "-n", f"{folder}/work",
                   "-a", f"127.0.0.1:{port}", "-f", config, "-s", "malloc,16m"]  # fmt: skip
        with _running(command, port):
            yield Cache(f"http://127.0.0.1:{port}", origin.seen)


@contextmanager
def nginx() -> Iterator[Cache]:
    """Start an nginx with the purge module, at /purge/; skip the test where there is none."""
    if shutil.which("nginx") is None or not PURGE_MODULE.exists():
        pytest.skip("nginx cannot purge (Debian: nginx-light, libnginx-mod-http-cache-purge)")
    with (
        _cache(NGINX) as (folder, port, config, origin),
        _running(["nginx", "-p", folder, "-c", config], port),
    ):
        yield Cache(f"http://127.0.0.1:{port}", origin.seen)


@contextmanager
def _cache(config: str) -> Iterator[tuple[str, int, str, Peer]]:
    """Make a folder with the configuration of a cache on a free port, and its origin."""
    with (
        peer(lambda _: Reply(200, b"page", {"Cache-Control": "max-age=3600"})) as origin,
        tempfile.TemporaryDirectory() as folder,
    ):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        file = Path(folder, "config")
        values = {"@@ORIGIN@@": urlsplit(origin.url).port, "@@PORT@@": port, "@@FOLDER@@": folder}
        for name, value in values.items():
            config = config.replace(name, str(value))
        file.write_text(config)
        yield folder, port, str(file), origin


@contextmanager
def _running(command: list[str], port: int) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(port, process)
        yield
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
    raise TimeoutError("the cache does not answer")
