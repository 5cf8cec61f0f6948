"""An OTLP collector on loopback: takes what is exported over HTTP, as protobuf, and keeps it."""

from __future__ import annotations

import gzip
import ssl
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from service import PATIENCE, wait_for


class Seen(NamedTuple):
    """A span that came; times in nanoseconds, ``parent`` is "" for the first of a trace."""

    name: str
    trace: str
    span: str
    parent: str
    kind: int
    start: int
    end: int
    error: str | None
    attributes: dict[str, Any]
    events: list[tuple[str, dict[str, Any]]]
    resource: dict[str, Any]

    @property
    def of_us(self) -> dict[str, Any]:
        """The attributes with our prefix, without it."""
        prefix = "postsync."
        return {
            name.removeprefix(prefix): value
            for name, value in self.attributes.items()
            if name.startswith(prefix)
        }


class Collector:
    """What came; ``gate`` holds the answers back while it is shut, ``status`` is that of them."""

    def __init__(self, certificate: Path | None, key: Path | None) -> None:
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.status = 200
        self.asked = 0
        self.gate = threading.Event()
        self.gate.set()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                collector.asked += 1
                collector.gate.wait(PATIENCE)
                if collector.status == 200:
                    assert self.path == "/v1/traces"
                    collector.headers.append(dict(self.headers))
                    collector.bodies.append(body)
                try:
                    self.send_response(collector.status)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                except OSError:  # who asked has given up
                    self.close_connection = True

            def log_message(self, *_: Any) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        scheme = "http"
        if certificate:
            scheme, context = "https", ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"{scheme}://127.0.0.1:{self.server.server_port}"

    def spans(self) -> list[Seen]:
        """All that came until now, in the order of their starts."""
        found = [span for body in list(self.bodies) for span in read_spans(body)]
        return sorted(found, key=lambda one: one.start)

    def of_sync(self, sync: str) -> list[Seen]:
        """Those of the traces that have a span of this sync."""
        spans = self.spans()
        traces = {one.trace for one in spans if one.of_us.get("sync") == sync}
        return [one for one in spans if one.trace in traces]

    def wait_for(self, names: Sequence[str], sync: str) -> list[Seen]:
        """Wait until spans of these names have come, and return all of the sync's traces."""

        def there() -> bool:
            found = Counter(one.name for one in self.of_sync(sync))
            return Counter(names) <= found

        wait_for(there, 20, f"{names} of {sync}")
        return self.of_sync(sync)


@contextmanager
def collecting(certificate: Path | None = None, key: Path | None = None) -> Iterator[Collector]:
    """Collect while the block lasts, over HTTPS if there is a certificate."""
    collector = Collector(certificate, key)
    thread = threading.Thread(target=collector.server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        collector.gate.set()
        collector.server.shutdown()
        collector.server.server_close()
        thread.join()


def read_spans(body: bytes) -> Iterator[Seen]:
    """Read one export."""
    request = ExportTraceServiceRequest.FromString(body)
    for of_resource in request.resource_spans:
        resource = _values(of_resource.resource.attributes)
        for of_scope in of_resource.scope_spans:
            for one in of_scope.spans:
                yield Seen(
                    one.name, one.trace_id.hex(), one.span_id.hex(), one.parent_span_id.hex(),
                    one.kind, one.start_time_unix_nano, one.end_time_unix_nano,
                    one.status.message if one.status.code == one.status.STATUS_CODE_ERROR else None,
                    _values(one.attributes),
                    [(event.name, _values(event.attributes)) for event in one.events], resource,
                )  # fmt: skip


def _values(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}
