"""TLS on real sockets: the handshake, its end, renewals, and whoever does not speak it."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import time
from pathlib import Path

import pytest
from certificates import expire, make, needs_openssl, trusting
from served import LIMIT, Serve, Served, head, held, refused, rest, status

pytestmark = needs_openssl


@pytest.fixture
def mounted(tmp_path: Path) -> Path:
    """Mount a pair as Kubernetes does: the files are links through ``..data``."""
    make(tmp_path / "..1")
    (tmp_path / "..data").symlink_to("..1")
    for name in ("tls.crt", "tls.key"):
        (tmp_path / name).symlink_to(f"..data/{name}")
    return tmp_path


def turn(mount: Path, to: str) -> None:
    """Show the files of another folder, in one step."""
    (mount / "..new").symlink_to(to)
    (mount / "..new").rename(mount / "..data")


def start(serve: Serve, folder: Path) -> Served:
    files = {"tls_certificate": folder / "tls.crt", "tls_key": folder / "tls.key"}
    return serve(**files)


def secured(served: Served, certificate: Path) -> ssl.SSLSocket:
    return trusting(certificate).wrap_socket(served.connect(), server_hostname="localhost")


def errors(served: Served) -> str:
    """End it, and return what it wrote on stderr."""
    served.end()
    return served.errors()


def test_a_request_by_tls_is_served(serve: Serve, mounted: Path) -> None:
    """TLS 1.3 if the client can, 1.2 at the least."""
    served = start(serve, mounted)
    with secured(served, mounted / "tls.crt") as connection:
        assert connection.version() == "TLSv1.3"
        connection.sendall(head() + b"ok")
        assert status(rest(connection)) == 200
    words = ["openssl", "s_client", "-tls1_1", "-cipher", "DEFAULT:@SECLEVEL=0", "-connect"]
    asked = subprocess.run(
        [*words, f"127.0.0.1:{served.port}"], input="", check=False, capture_output=True,
        text=True, timeout=120,
    )  # fmt: skip
    assert asked.returncode == 1
    assert "alert protocol version" in asked.stderr


def test_slow_senders_are_cut_off_behind_tls_as_well(serve: Serve, mounted: Path) -> None:
    """They are told so as well: nothing of TLS is broken off for it."""
    served = start(serve, mounted)
    with secured(served, mounted / "tls.crt") as connection:
        connection.sendall(head(length=10) + b"half")
        assert status(rest(connection)) == 408
    assert served.line() == "cut"


@pytest.mark.parametrize("hello", [b"", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"])
def test_a_client_that_never_ends_its_hello_holds_no_thread(
    serve: Serve, mounted: Path, hello: bytes
) -> None:
    """More such clients than threads: the next one is served when their time is over."""
    served = start(serve, mounted)
    begun = time.monotonic()
    silent = [served.connect() for _ in range(8)]  # there are 4 threads
    for one in silent:
        one.sendall(hello)
    _, seconds = held(silent[0], begun)
    assert seconds >= LIMIT
    with secured(served, mounted / "tls.crt") as connection:
        connection.sendall(head() + b"ok")
        assert status(rest(connection)) == 200
    for one in silent:
        one.close()


def test_plain_http_is_told_to_speak_tls(serve: Serve, mounted: Path) -> None:
    """It gets an answer that it can read, and the log no traceback."""
    served = start(serve, mounted)
    with served.connect() as connection:
        connection.sendall(head() + b"ok")
        answer = rest(connection)
    assert status(answer) == 400
    assert b"begin the URL with https://" in answer
    assert served.line().startswith("unreadable 127.0.0.1 [SSL: HTTP_REQUEST]")
    assert errors(served) == ""


@pytest.mark.parametrize("sent", [b"", b"\x00" * 64, b"\x16\x03\x01\x00\x05hello"])
def test_what_is_no_tls_leaves_no_traceback(serve: Serve, mounted: Path, sent: bytes) -> None:
    """A port scan, or a probe that only connects."""
    served = start(serve, mounted)
    with served.connect() as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        rest(connection)
    with secured(served, mounted / "tls.crt") as connection:
        connection.sendall(head() + b"ok")
        assert status(rest(connection)) == 200
    assert errors(served) == ""


def test_a_client_that_does_not_trust_the_certificate_is_named(serve: Serve, mounted: Path) -> None:
    """The operator of the server sees why nothing comes."""
    served = start(serve, mounted)
    with served.connect() as connection, pytest.raises(ssl.SSLCertVerificationError):
        ssl.create_default_context().wrap_socket(connection, server_hostname="localhost")
    assert "UNKNOWN_CA" in served.line()


def test_a_renewed_certificate_is_served_without_a_restart(serve: Serve, mounted: Path) -> None:
    """Kubernetes turns one link; a request that is under way is answered."""
    served = start(serve, mounted)
    make(mounted / "..2")
    old, new = mounted / "..1/tls.crt", mounted / "..2/tls.crt"
    with secured(served, old) as before:
        before.sendall(head("/held") + b"ok")
        assert served.line() == "began"
        turn(mounted, "..2")
        told = served.event("tls.loaded")
        with secured(served, new) as connection:
            der = connection.getpeercert(binary_form=True)
        served.let_go()
        assert rest(before).endswith(b"ended")
    assert der == ssl.PEM_cert_to_DER_cert(new.read_text())
    assert told["notAfter"].endswith("Z")
    assert len(told["fingerprint"]) == 64
    with pytest.raises(ssl.SSLCertVerificationError):
        secured(served, old)


def test_a_broken_renewal_keeps_the_old_pair(serve: Serve, mounted: Path) -> None:
    """It says so; the next good pair is taken."""
    served = start(serve, mounted)
    make(mounted / "..2")
    make(mounted / "..3")
    shutil.copy(mounted / "..3/tls.key", mounted / "..2/tls.key")
    turn(mounted, "..2")
    refused = served.event("tls.refused")
    assert "the key is not the one of the certificate" in refused["reason"]
    with secured(served, mounted / "..1/tls.crt") as connection:
        connection.sendall(head() + b"ok")
        assert status(rest(connection)) == 200
    turn(mounted, "..3")
    served.event("tls.loaded")
    secured(served, mounted / "..3/tls.crt").close()


def test_an_expired_certificate_is_served_with_a_warning(serve: Serve, mounted: Path) -> None:
    """Whether to go on is the client's choice; a receiver that does not start helps nobody."""
    expire(mounted / "..1")
    served = start(serve, mounted)
    assert any('"tls.expired"' in line and "2020-01-02" in line for line in served.before)


def _broken(folder: Path, how: str) -> None:
    if how == "missing":
        (folder / "tls.key").unlink()
    elif how == "no PEM":
        (folder / "tls.crt").write_text("hello")
    elif how == "other key":
        make(folder / "other")
        shutil.copy(folder / "other/tls.key", folder / "tls.key")
    elif how == "for clients":
        make(folder, "-addext", "extendedKeyUsage=clientAuth")
    else:
        command = ["openssl", "ec", "-in", "tls.key", "-aes128", "-passout", "pass:x"]
        subprocess.run([*command, "-out", "tls.key"], cwd=folder, check=True, capture_output=True)


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("missing", "tls.key cannot be read: does not exist"),
        ("no PEM", "tls.crt has no certificate in PEM"),
        ("other key", "the key is not the one of the certificate"),
        ("for clients", "no client would take this certificate: unsuitable certificate purpose"),
        ("passphrase", "the key needs a passphrase"),
    ],
)
def test_a_pair_that_cannot_be_served_with_stops_the_start(
    tmp_path: Path, how: str, told: str
) -> None:
    """The message says what is wrong with which file, and the settings' names."""
    certificate, key = make(tmp_path)
    _broken(tmp_path, how)
    said = refused(tls_certificate=certificate, tls_key=key)
    assert told in said
    assert "tlsCertificate (POSTSYNC_TLS_CERTIFICATE)" in said
