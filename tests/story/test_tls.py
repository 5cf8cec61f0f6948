"""A whole service behind a certificate of its own, and the commands that speak to it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from certificates import fetch, make, needs_openssl
from forked import postsync
from notifications import notification, resource
from service import ROOT, TOKEN, Service, wait_for

pytestmark = needs_openssl

RULES = """
version: 1
rules:
- name: say
  match: {resources: [{kind: ConfigMap}]}
  actions: [{uses: log.message, with: {text: done}}]
"""


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    certificate, key = make(tmp_path / "tls")
    service = Service(
        tmp_path / "home", RULES, tls_certificate=str(certificate), tls_key=str(key), banner="1"
    )
    service.start()
    try:
        wait_for(lambda: "postsync listens on" in service.log.read_text(), 20, "the banner")
        yield service
    finally:
        service.kill()


def command(service: Service, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a command of ours."""
    return postsync(*words, cwd=ROOT, environ=service.environ | environ)


def test_commands_trust_the_authority_that_they_are_given(service: Service, tmp_path: Path) -> None:
    """Without it they say what is missing, and no token is sent."""
    ca = str(tmp_path / "tls/tls.crt")
    file = tmp_path / "notification.json"
    file.write_bytes(notification(resource("a")))
    sent = command(service, "send", str(file), POSTSYNC_CA=ca, POSTSYNC_TOKEN=TOKEN + "senders")
    assert sent.returncode == 0, sent.stderr
    assert "accepted" in sent.stdout
    shown = command(service, "show", "last", "--wait", "10", "--ca", ca)
    assert "attempt.succeeded" in shown.stdout, shown.stderr
    refused = command(service, "syncs")
    assert refused.returncode == 3
    assert "is not valid: self-signed certificate" in refused.stderr
    assert "--ca or POSTSYNC_CA" in refused.stderr
    lost = command(service, "syncs", "--ca", "nowhere.pem")
    assert "nowhere.pem does not exist" in lost.stderr
    plain = command(service, "syncs", "--url", f"http://localhost:{service.port}")
    assert "begin the URL with https://" in plain.stderr


def test_the_banner_and_the_metrics_tell_of_tls(service: Service, tmp_path: Path) -> None:
    """The URL has the right scheme; the metric follows a renewal."""
    log = service.log.read_text()
    assert f"postsync listens on https://127.0.0.1:{service.port}" in log
    assert "rules: 1 in force" in log
    folder = tmp_path / "tls"
    first = fetch(service.port, "/metrics", folder / "tls.crt")
    make(tmp_path / "next", "-days", "9")
    for name in ("tls.key", "tls.crt"):
        (tmp_path / "next" / name).replace(folder / name)
    wait_for(lambda: len(service.events("tls.loaded")) == 2, 20, "the new certificate")
    second = fetch(service.port, "/metrics", folder / "tls.crt")
    ends = [
        float(re.findall(r"^postsync_tls_not_after_timestamp_seconds (\S+)", page, re.MULTILINE)[0])
        for page in (first, second)
    ]
    assert ends[1] - ends[0] == pytest.approx(7 * 86400, abs=60)
