from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest
from peers import Reply, closed_port, door, peer
from proxies import tunnels

from receiver.app.outbound import build_outbound
from receiver.core.errors import PermanentError, SettingsError, TemporaryError
from receiver.outbound import Outbound, own_api_server
from receiver.outbound.proxies import Proxies
from receiver.settings.loading import load_settings
from receiver.settings.model import Settings

DIRECT = [
    "nexus.corp.example",
    "*.svc.eu",
    ".lan",
    ip_network("10.0.0.0/8"),
    ip_network("fd00::/8"),
]


@pytest.mark.parametrize(
    ("host", "direct"),
    [
        ("api.example", False),
        ("203.0.113.9", False),
        ("nexus.corp.example", True),
        ("NEXUS.corp.example.", True),
        ("a.nexus.corp.example", False),
        ("shop.svc.eu", True),
        ("printer.lan", True),
        ("lan", False),
        ("10.1.2.3", True),
        ("0x0a010203", True),
        ("::ffff:10.1.2.3", True),
        ("fd00::1", True),
        ("localhost", True),
        ("127.0.0.2", True),
        ("::1", True),
        ("kubernetes.default.svc", True),
        ("varnish.shop.svc.cluster.local", True),
        ("svc", False),
    ],
)
def test_the_proxy_is_passed_for_what_is_excepted(host: str, direct: bool) -> None:
    """Hosts by globs, networks by addresses in any spelling; loopback and services always."""
    assert Proxies("http://proxy.example:3128", DIRECT).url_for(host) == (
        "" if direct else "http://proxy.example:3128"
    )


@pytest.mark.parametrize("host", ["10.96.0.1", "fd00::1", "api.corp.example"])
def test_the_own_clusters_api_server_is_called_directly(host: str) -> None:
    """Its host is the one that the kubelet names, an address nearly always."""
    own = own_api_server({"KUBERNETES_SERVICE_HOST": host})
    assert Proxies("http://proxy.example", own).url_for(host) == ""
    assert own_api_server({}) == []


def test_loopback_is_called_past_the_proxy() -> None:
    """A proxy's own loopback is never what a rule means."""
    outbound = Outbound(proxy=f"http://127.0.0.1:{closed_port()}")
    with peer(lambda _: Reply(200, b"here")) as there:
        assert door(outbound).send("GET", there.url).body == b"here"
    outbound.close()


def test_an_excepted_host_is_looked_up_and_judged_here() -> None:
    """The proxy is asked for the other one alone."""
    with peer(lambda _: Reply(200, b"by the proxy")) as proxy:
        outbound = Outbound(proxy=proxy.url, no_proxy=[".corp.invalid"])
        with pytest.raises(TemporaryError) as caught:
            door(outbound).send("GET", "http://nexus.corp.invalid/a")
        answer = door(outbound).send("GET", "http://shop.invalid/b")
        outbound.close()
    assert str(caught.value) == "nexus.corp.invalid:80: the name is not known"
    assert (answer.body, [seen.path for seen in proxy.seen]) == (
        b"by the proxy",
        ["http://shop.invalid/b"],
    )


def test_a_server_takes_its_exceptions_from_its_settings_and_its_pod(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What `noProxy` names, and the API server that the kubelet names; nothing else."""
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "api.cluster.invalid")
    with peer(lambda _: Reply(200, b"by the proxy")) as proxy:
        settings = Settings(proxy=proxy.url, no_proxy=["*.corp.invalid"])
        outbound = build_outbound(settings)
        for host in ("api.cluster.invalid", "nexus.corp.invalid"):
            with pytest.raises(TemporaryError, match=f"{host}:80: the name is not known"):
                door(outbound).send("GET", f"http://{host}/")
        door(outbound).send("GET", "http://corp.invalid/")
        outbound.close()
    assert [seen.path for seen in proxy.seen] == ["http://corp.invalid/"]


def test_a_call_with_a_proxy_of_its_own_takes_that_one() -> None:
    """Also to a host that is excepted from the operator's; the password in it goes along."""
    there = closed_port()
    with tunnels(there) as proxy:
        outbound = Outbound(proxy=f"http://127.0.0.1:{closed_port()}", no_proxy=["*.invalid"])
        with pytest.raises(TemporaryError, match=r"kube\.invalid:443"):
            door(outbound).send(
                "GET", "https://kube.invalid/", proxy=proxy.url.replace("//", "//it:hush@")
            )
        outbound.close()
    assert proxy.heads[0].startswith("CONNECT kube.invalid:443 ")
    assert "Basic aXQ6aHVzaA==" in proxy.heads[0]


@pytest.mark.parametrize(
    ("proxy", "told"),
    [
        ("http://proxy.internal:1/", "the proxy: host proxy.internal is denied by denyHosts"),
        ("http://169.254.169.254:1", "the proxy: host 169.254.169.254 may not be called"),
        ("socks5://it:hush@proxy.example", "the proxy is no URL of http or https"),
        ("proxy.example:3128", "the proxy is no URL of http or https"),
    ],
)
def test_a_calls_own_proxy_is_judged_as_a_host_that_is_called(proxy: str, told: str) -> None:
    """Whoever writes it is not the operator who wrote the policy."""
    outbound = Outbound(deny_hosts=["*.internal"])
    with pytest.raises(PermanentError) as caught:
        door(outbound).send("GET", "https://kube.invalid/", proxy=proxy)
    assert str(caught.value).startswith(told)
    assert "hush" not in str(caught.value)


def test_a_proxy_that_is_no_url_is_refused_at_the_start() -> None:
    """And its password is not told."""
    with pytest.raises(SettingsError, match="the proxy is no URL of http or https") as caught:
        Outbound(proxy="socks5://it:hush@proxy.example:1080")
    assert "hush" not in str(caught.value)


def test_the_settings_take_hosts_globs_and_networks(tmp_path: Path) -> None:
    """Networks in both families; an address alone is a network of one."""
    (tmp_path / "it.yaml").write_text("noProxy: [.Corp.example, '*.lan', 10.0.0.0/8, 'fd00::1']")
    assert load_settings(tmp_path / "it.yaml").no_proxy == [
        ".corp.example",
        "*.lan",
        ip_network("10.0.0.0/8"),
        ip_network("fd00::1/128"),
    ]


@pytest.mark.parametrize("entry", ["10.0.0.5/8", "10.0.0.999", "http://a.example", "a.example:80"])
def test_what_is_neither_a_host_nor_a_network_is_told(entry: str, tmp_path: Path) -> None:
    """It would match nothing, and be found out by the first call that goes astray."""
    (tmp_path / "it.yaml").write_text(f"noProxy: ['{entry}']")
    with pytest.raises(SettingsError, match=r"noProxy \(POSTSYNC_NO_PROXY\): .* is neither a host"):
        load_settings(tmp_path / "it.yaml")
