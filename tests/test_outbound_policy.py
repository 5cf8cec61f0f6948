from __future__ import annotations

import socket
from ipaddress import ip_network

import pytest
from peers import door, peer

from receiver.core.errors import PermanentError
from receiver.outbound import Outbound
from receiver.outbound.address_policy import Policy


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("169.254.169.254", "link-local"),
        ("169.254.1.1", "link-local"),
        ("fe80::1", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("169.254.42.42", "link-local"),
        ("169.254.170.23", "link-local"),
        ("fe80::a9fe:a9fe", "link-local"),
        ("fd00:ec2::254", "metadata"),
        ("fd00:ec2::23", "metadata"),
        ("fd20:ce::254", "metadata"),
        ("fd00:42::42", "metadata"),
        ("100.100.100.200", "metadata"),
        ("192.0.0.192", "metadata"),
        ("168.63.129.16", "platform service"),
        ("0.0.0.0", "unspecified"),  # noqa: S104 an address to be refused
        ("::", "unspecified"),
        ("224.0.0.1", "multicast"),
        ("ff02::1", "multicast"),
        ("255.255.255.255", "broadcast"),
        ("::ffff:169.254.169.254", "link-local"),
        ("64:ff9b::a9fe:a9fe", "link-local"),
        ("64:ff9b:1::a9fe:a9fe", "link-local"),
        ("::a9fe:a9fe", "link-local"),
        ("2002:a9fe:a9fe::1", "link-local"),
    ],
)
def test_some_addresses_are_never_called(address: str, why: str) -> None:
    """Whatever is allowed, in every spelling, with the reason."""
    policy = Policy(allow_networks=[ip_network("0.0.0.0/0"), ip_network("::/0")])
    refusal = policy.refuse_address(address)
    assert refusal.startswith(f"address {address} is never called (")
    assert why in refusal


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "192.168.1.1", "::1", "8.8.8.8"])
def test_loopback_and_private_addresses_are_called_by_default(address: str) -> None:
    """What actions call mostly lives there."""
    assert Policy().refuse_address(address) == ""


def test_networks_are_denied_before_they_are_allowed() -> None:
    """A deny wins, also over an address inside another; what is not allowed is refused."""
    policy = Policy(
        allow_networks=[ip_network("10.0.0.0/8")], deny_networks=[ip_network("10.1.0.0/16")]
    )
    assert policy.refuse_address("10.2.0.1") == ""
    assert policy.refuse_address("10.1.0.1") == (
        "address 10.1.0.1 is denied by denyNetworks 10.1.0.0/16"
    )
    assert "denyNetworks 10.1.0.0/16" in policy.refuse_address("::ffff:10.1.0.1")
    assert policy.refuse_address("::ffff:10.2.0.1") == ""
    assert policy.refuse_address("11.0.0.1") == "address 11.0.0.1 is not in allowNetworks"


def test_hosts_are_globs() -> None:
    """Case and the last dot make no difference; a deny wins."""
    policy = Policy(allow_hosts=["*.Example.com"], deny_hosts=["admin.*"])
    assert policy.refuse_host("API.example.com.") == ""
    assert policy.refuse_host("admin.example.com") == (
        "host admin.example.com is denied by denyHosts admin.*"
    )
    assert policy.refuse_host("example.org") == "host example.org is not in allowHosts"


@pytest.mark.parametrize("host", ["169.254.169.254", "2852039166", "0xa9fea9fe", "169.254.43518"])
def test_an_address_is_known_in_every_spelling(host: str) -> None:
    """It is judged as what would be connected to."""
    assert "169.254.169.254" in Policy().refuse_host(host)


def test_a_refusal_names_host_address_and_rule() -> None:
    """Nothing is connected to, and the reason says what to change."""
    outbound = Outbound(deny_networks=[ip_network("127.0.0.0/8"), ip_network("::1/128")])
    with peer() as there, pytest.raises(PermanentError) as caught:
        door(outbound).send("GET", there.url.replace("127.0.0.1", "localhost"))
    text = str(caught.value)
    assert text.startswith("host localhost may not be called: address ")
    assert "127.0.0.1 is denied by denyNetworks 127.0.0.0/8" in text
    assert there.seen == []


def test_the_address_that_was_judged_is_the_one_that_is_connected_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A name is looked up once; a second answer that differs would find nobody asking."""
    asked = []
    real = socket.getaddrinfo

    def counted(*args: object) -> object:
        if args[-1] != socket.AI_NUMERICHOST:
            asked.append(args[0])
        return real(*args)  # type: ignore[arg-type]  # passed on

    monkeypatch.setattr(socket, "getaddrinfo", counted)
    outbound = Outbound()
    with peer() as there:
        door(outbound).send("GET", there.url.replace("127.0.0.1", "localhost"))
        outbound.close()
    assert asked == ["localhost"]


def test_the_next_address_is_tried_where_one_is_denied_or_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A name with several addresses is reached by the first that is allowed and answers."""
    with peer() as there:
        port = int(there.url.rpartition(":")[2])
        kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        found = [(*kind, (host, port)) for host in ("169.254.169.254", "127.0.0.2", "127.0.0.1")]
        monkeypatch.setattr("receiver.outbound.guard.look_up", lambda *_: found)
        outbound = Outbound(deny_networks=[ip_network("127.0.0.3/32")])
        assert door(outbound).send("GET", f"http://many.example:{port}/").status == 200
        outbound.close()
    assert there.seen[0].headers["host"] == f"many.example:{port}"


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}\\.ok.example/",
        "http://127.0.0.1:{port}#.ok.example/",
        "http://127.0.0.1:{port}?.ok.example/",
        "http://ok.example@127.0.0.1:{port}/",
        "http://127.0.0.1:{port}\\@a.ok.example/",
    ],
)
def test_a_url_that_is_read_in_two_ways_reaches_only_what_was_judged(url: str) -> None:
    """The host that is compared with the globs is the one that is connected to."""
    outbound = Outbound(allow_hosts=["*.ok.example"])
    with peer() as there, pytest.raises(PermanentError):
        door(outbound).send("GET", url.format(port=there.url.rpartition(":")[2]))
    assert there.seen == []
