"""Passes requests on to an API server or to Argo CD's API, and counts them and what comes back."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import requests

KINDS = {
    r"/applications/[^/]+$": "Application",
    r"/managed-resources$": "all live objects",
    r"/resource$": "one live object",
    r"/namespaces/[^/]+/[^/]+$": "LIST",
    r"/namespaces/[^/]+/[^/]+/[^/]+$": "one live object",
}
"""What a request's path asks for; any other is discovery: which kinds there are."""
FORWARDED = ("Accept", "Authorization")


@dataclass
class Counted:
    """What was asked through here.

    Attributes:
        url: where to ask.
        asked: requests by what they are for.
        lists: requests for a collection, by its path.
        bytes: of all answers.
    """

    url: str
    asked: Counter[str] = field(default_factory=Counter)
    lists: Counter[str] = field(default_factory=Counter)
    bytes: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, path: str, size: int) -> None:
        """Count one request."""
        kind = next((kind for end, kind in KINDS.items() if re.search(end, path)), "discovery")
        with self.lock:
            self.asked[kind] += 1
            self.bytes += size
            if kind == "LIST":
                self.lists[path] += 1


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    counted: Counted
    target: str
    session: requests.Session

    def do_GET(self) -> None:
        kept = {
            key: self.headers[key] for key in ("Accept", "Authorization") if key in self.headers
        }
        answer = self.session.get(self.target + self.path, headers=kept, timeout=60)
        self.counted.note(urlsplit(self.path).path, len(answer.content))
        self.send_response(answer.status_code)
        for name in ("Content-Type", "Date"):
            if name in answer.headers:
                self.send_header(name, answer.headers[name])
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    def log_message(self, *_: Any) -> None:
        """Keep silent."""


@contextmanager
def counting(target: str, verify: str | bool = True) -> Iterator[Counted]:
    """Count what goes through here to a server, for as long as the block lasts.

    Args:
        target: its address.
        verify: a file of certificates to trust there.
    """
    session = requests.Session()
    session.trust_env, session.verify = False, verify
    counted = Counted("")
    own = {"counted": counted, "target": target, "session": session}
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), own))
    server.daemon_threads = True
    counted.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield counted
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
