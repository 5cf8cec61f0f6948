from __future__ import annotations

import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from peers import door
from proxies import tunnels

from receiver.core.errors import PermanentError
from receiver.outbound import Outbound

pytestmark = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="needs the openssl command to make a certificate"
)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost and shop.example, with its key in the same file."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt"),
            *("ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *(
                "-addext",
                "subjectAltName=DNS:localhost,DNS:shop.example",
                "-keyout",
                "key.pem",
                "-out",
                "cert.pem",
            ),
        ],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    return folder


class _Hello(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = f"port {self.client_address[1]}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


class _TlsServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__(("127.0.0.1", 0), _Hello)

    def finish_request(self, request: Any, client_address: Any) -> None:
        with self._context.wrap_socket(request, server_side=True) as secure:
            super().finish_request(secure, client_address)

    def handle_error(self, *_: Any) -> None:
        pass


@contextmanager
def _tls_peer(folder: Path) -> Iterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    server = _TlsServer(context)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


def test_a_certificate_of_an_own_authority_is_trusted_by_ca_bundle(certificate: Path) -> None:
    """The name in the certificate is the host's, though an address was connected to."""
    outbound = Outbound(ca_bundle=certificate / "cert.pem")
    with _tls_peer(certificate) as port:
        first = door(outbound).send("GET", f"https://localhost:{port}/")
        again = door(outbound).send("GET", f"https://localhost:{port}/")
        outbound.close()
    assert first.status == 200
    assert first.body == again.body


def test_an_unknown_authority_is_permanent_and_names_the_way_out(certificate: Path) -> None:
    """Trying again would not help."""
    outbound = Outbound()
    with _tls_peer(certificate) as port, pytest.raises(PermanentError) as caught:
        door(outbound).send("GET", f"https://localhost:{port}/")
    assert str(caught.value) == (
        f"the certificate of localhost:{port} is not valid: self-signed certificate (set caBundle "
        "(POSTSYNC_CA_BUNDLE) if it is of an authority of your own)"
    )


def test_a_certificate_for_another_name_is_permanent(certificate: Path) -> None:
    """The host of the URL counts."""
    outbound = Outbound(ca_bundle=certificate / "cert.pem")
    with _tls_peer(certificate) as port, pytest.raises(PermanentError, match="is not valid for"):
        door(outbound).send("GET", f"https://127.0.0.1:{port}/")


def test_a_tunnel_through_a_proxy_ends_at_the_hosts_own_certificate(certificate: Path) -> None:
    """The proxy passes on, and the name that is checked is the target's."""
    with _tls_peer(certificate) as port, tunnels(port) as proxy:
        outbound = Outbound(ca_bundle=certificate / "cert.pem", proxy=proxy.url)
        answer = door(outbound, 5).send("GET", "https://shop.example/")
        with pytest.raises(
            PermanentError, match=r"the certificate of other\.example:443 .* is not"
        ):
            door(outbound, 5).send("GET", "https://other.example/")
        outbound.close()
    assert answer.status == 200


def test_the_environments_certificates_are_not_used(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whom to trust is a setting of ours."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate / "cert.pem"))
    outbound = Outbound()
    with _tls_peer(certificate) as port, pytest.raises(PermanentError, match="is not valid"):
        door(outbound).send("GET", f"https://localhost:{port}/")
