"""Who is told to have sent a request, with proxies between and without."""

from __future__ import annotations

import json
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from doors import AS_SENDER, Doors, doors
from notifications import notification, resource

from receiver.core.logs import configure_logs
from receiver.ledger.engine.ledger import Ledger
from receiver.web.rejected_request_log import (
    MOST,
    WINDOW,
    RejectedRequestLog,
    remote_address,
)

PATH = "/v1/notifications"
PROXIES = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]


@pytest.mark.parametrize(
    ("peer", "header", "remote"),
    [
        ("203.0.113.9", "192.0.2.1", "203.0.113.9"),  # no proxy of ours: not believed
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "192.0.2.1", "192.0.2.1"),
        ("10.0.0.1", "6.6.6.6, 192.0.2.1", "192.0.2.1"),  # the left one was sent along
        ("10.0.0.1", "6.6.6.6, 192.0.2.1, 10.0.0.2", "192.0.2.1"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "192.0.2.1, nonsense", "10.0.0.1"),
        ("10.0.0.1", "192.0.2.1:5000", "192.0.2.1"),
        ("fd00::1", "[2001:db8::1]:443", "2001:db8::1"),
        ("::ffff:10.0.0.1", "192.0.2.1", "192.0.2.1"),
        ("", "192.0.2.1", ""),  # a Unix socket
    ],
)
def test_the_rightmost_address_that_is_no_trusted_proxy_is_the_senders(
    peer: str, header: str, remote: str
) -> None:
    """Each proxy vouches for the entry that it has appended, and for no other."""
    environ = {"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_FOR": header}
    assert remote_address(environ, PROXIES) == remote


def test_other_headers_of_proxies_are_not_believed() -> None:
    """A proxy that writes one of them passes the others on as its sender wrote them."""
    environ = {
        "REMOTE_ADDR": "10.0.0.1",
        "HTTP_FORWARDED": "for=6.6.6.6",
        "HTTP_X_REAL_IP": "6.6.6.6",
    }
    assert remote_address(environ, PROXIES) == "10.0.0.1"


def lines(text: str, event: str) -> list[dict[str, Any]]:
    told = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return [line for line in told if line["event"] == event]


def ask(web: Doors, peer: str, forwarded: str = "") -> None:
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    web.client.post(f"{PATH}/x", headers=headers, environ_base={"REMOTE_ADDR": peer})


def test_a_request_without_a_token_is_told_with_its_address(
    ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By default nobody's header counts; with trustedProxies that of these networks."""
    with doors(ledger, tmp_path) as web:
        ask(web, "10.0.0.1", "192.0.2.1")
        web.client.post(PATH, data=notification(resource("a")), headers=AS_SENDER)
    with doors(ledger, tmp_path, trusted_proxies=["10.0.0.0/8"]) as web:
        ask(web, "10.0.0.1", "192.0.2.1")
    told = lines(capsys.readouterr().out, "request.unauthenticated")
    assert [line["remote"] for line in told] == ["10.0.0.1", "192.0.2.1"]
    assert {(line["method"], line["path"]) for line in told} == {("POST", f"{PATH}/x")}


def test_a_flood_fills_no_log(capsys: pytest.CaptureFixture[str]) -> None:
    """Each address once, few of them, and the next minute says how many were left out."""
    now = [0.0]
    rejected = RejectedRequestLog(configure_logs("json"), monotonic=lambda: now[0])
    for i in range(1000):
        rejected.write("request.unauthenticated", f"192.0.2.{i % 50}", path="/")
    assert len(lines(capsys.readouterr().out, "request.unauthenticated")) == MOST
    now[0] += WINDOW
    rejected.write("request.unauthenticated", "192.0.2.1", path="/")
    (line,) = lines(capsys.readouterr().out, "request.unauthenticated")
    assert line["notLogged"] == 1000 - MOST
