from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from certificates import make, needs_openssl
from peers import door

from receiver.contract import Tls
from receiver.core.errors import PermanentError, TemporaryError
from receiver.outbound import Outbound

pytestmark = needs_openssl


class _Who(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        shown = self.connection.getpeercert()
        body = str(dict(one[0] for one in shown["subject"]) if shown else "nobody").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        return


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        return


@pytest.fixture
def theirs(tmp_path: Path) -> tuple[Path, Path]:
    return make(tmp_path / "theirs")


@pytest.fixture
def ours(tmp_path: Path) -> Tls:
    certificate, key = make(tmp_path / "ours", name="postsync")
    return Tls(certificate=certificate.read_text(), key=key.read_text())


@pytest.fixture
def url(theirs: tuple[Path, Path], ours: Tls) -> Iterator[str]:
    """A server of an unknown authority that asks for a certificate, and tells whose it was."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*theirs)
    context.load_verify_locations(cadata=ours.certificate)
    context.verify_mode = ssl.CERT_OPTIONAL
    server = _Server(("127.0.0.1", 0), _Who)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"https://localhost:{server.server_port}/"
    server.shutdown()
    server.server_close()


def test_a_servers_own_authority_is_trusted_for_that_request_alone(
    outbound: Outbound, url: str, theirs: tuple[Path, Path]
) -> None:
    """A connection that it made possible is not used by a request without it."""
    tls = Tls(theirs[0].read_text())
    assert door(outbound).send("GET", url, tls=tls).text == "nobody"
    with pytest.raises(PermanentError, match=r"certificate of .* is not valid"):
        door(outbound).send("GET", url)


def test_our_certificate_is_shown_where_it_is_given(
    outbound: Outbound, url: str, theirs: tuple[Path, Path], ours: Tls
) -> None:
    """Two identities at one server have connections of their own."""
    authority = theirs[0].read_text()
    shown = Tls(authority, ours.certificate, ours.key)
    assert "postsync" in door(outbound).send("GET", url, tls=shown).text
    assert door(outbound).send("GET", url, tls=Tls(authority)).text == "nobody"


@pytest.mark.parametrize(
    ("tls", "told"),
    [
        (Tls("no certificate"), "the authority to trust is no certificate in PEM"),
        (Tls("", "hush", "hush-key"), "the client's certificate or key is none in PEM"),
    ],
)
def test_what_is_no_certificate_is_permanent(
    outbound: Outbound, url: str, tls: Tls, told: str
) -> None:
    """And is not told."""
    with pytest.raises(PermanentError) as caught:
        door(outbound).send("GET", url, tls=tls)
    assert str(caught.value) == told


def test_a_key_is_not_told_by_its_dataclass(ours: Tls) -> None:
    """It may stand in a log of somebody's."""
    assert ours.key not in repr(ours)


def test_the_time_bounds_such_a_connection_too(outbound: Outbound, url: str) -> None:
    """As any other."""
    with pytest.raises(TemporaryError, match="no answer from"):
        door(outbound, -1).send("GET", url, tls=Tls())
