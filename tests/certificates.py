"""Certificates made by the openssl command."""

from __future__ import annotations

import http.client
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

needs_openssl = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="openssl is not installed, which makes certificates"
)

AUTHORITY = """
[ca]
default_ca = it
[it]
database = index.txt
new_certs_dir = .
default_md = sha256
rand_serial = yes
policy = any
[any]
commonName = supplied
"""


def openssl(folder: Path, *words: str) -> None:
    done = subprocess.run(
        ["openssl", *words], cwd=folder, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def make(folder: Path, *extra: str, name: str = "localhost") -> tuple[Path, Path]:
    """Make a certificate, signed by itself, and its key."""
    folder.mkdir(parents=True, exist_ok=True)
    openssl(
        folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
        "-nodes", "-days", "2", "-subj", f"/CN={name}",
        "-addext", f"subjectAltName=DNS:{name},IP:127.0.0.1", *extra,
        "-keyout", "tls.key", "-out", "tls.crt",
    )  # fmt: skip
    return folder / "tls.crt", folder / "tls.key"


def expire(folder: Path) -> None:
    """Replace the folder's certificate by one of the same key that ended in 2020."""
    (folder / "ca.cnf").write_text(AUTHORITY)
    (folder / "index.txt").write_text("")
    openssl(folder, "req", "-new", "-key", "tls.key", "-subj", "/CN=localhost", "-out", "tls.csr")
    openssl(
        folder, "ca", "-batch", "-notext", "-config", "ca.cnf", "-selfsign",
        "-keyfile", "tls.key", "-in", "tls.csr", "-out", "tls.crt",
        "-startdate", "20200101000000Z", "-enddate", "20200102000000Z",
    )  # fmt: skip


def trusting(certificate: Path) -> ssl.SSLContext:
    """Return a client's context that trusts this certificate alone."""
    return ssl.create_default_context(cafile=certificate)


def fetch(port: int, path: str, certificate: Path) -> str:
    """GET a page of localhost, trusting this certificate alone."""
    door = http.client.HTTPSConnection("localhost", port, context=trusting(certificate), timeout=20)
    try:
        door.request("GET", path)
        return door.getresponse().read().decode()
    finally:
        door.close()
