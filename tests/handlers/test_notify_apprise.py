"""notify.apprise: what it lets through, and that it tells no address."""

from __future__ import annotations

import inspect
import json
import re
import socket
import threading
from ipaddress import ip_network
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import pytest
from apprise.manager_plugins import NotificationManager
from apprise.url import URLBase
from peers import Reply, Seen, call, closed_port, door, peer, raw_peer

from handlers.notify_apprise import DENIED, NotifyApprise, handler
from receiver.contract import Outcome, PermanentError, Succeeded, TemporaryError
from receiver.core.model import OutcomeKind
from receiver.outbound import Outbound
from receiver.testkit import Subject, attempt
from receiver.testkit.registration import check_example, check_strictness, check_words

KIT = Subject(handler)


def tell(outbound: Outbound, url: str, seconds: float = 60, **given: Any) -> Outcome:
    params = NotifyApprise.model_validate({"url": url, "body": "synced", **given})
    return handler.run(params, call(door(outbound, seconds), timeout=seconds))


def of(url: str, query: str = "") -> str:
    """An address of the service ntfy at our server, with a secret in it."""
    return f"ntfy://user:hush-hush@{urlsplit(url).netloc}/topic{query}"


@pytest.mark.parametrize("check", [check_words, check_example, check_strictness])
def test_it_keeps_the_parts_of_the_contract_that_do_not_send(check: Any) -> None:
    """Apprise sends by itself, so that the kit's server cannot take everybody's place."""
    check(KIT)


def test_a_message_arrives(outbound: Outbound) -> None:
    """With its title and its tone."""
    with peer(lambda _: Reply(200, b"{}")) as there:
        outcome = tell(outbound, of(there.url), title="shop", type="success")
    assert outcome == Succeeded({"service": "ntfy"})
    (seen,) = there.seen
    assert b"synced" in seen.body
    assert b"shop" in seen.body


def test_a_long_message_is_cut_off_unless_the_address_says_otherwise(outbound: Outbound) -> None:
    """The service takes 7,800 characters, and would make a file of more."""
    with peer(lambda _: Reply(200, b"{}")) as there:
        tell(outbound, of(there.url), body="x" * 10_000)
        tell(outbound, of(there.url, "?overflow=upstream"), body="x" * 10_000)
    sizes = [seen.body.count(b"x") for seen in there.seen]
    assert sizes[0] <= 7_800
    assert sizes[1] == 10_000


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 409, 410, 413, 429, 500, 503])
def test_a_refusal_is_temporary_and_tells_no_secret(
    status: int, capfd: pytest.CaptureFixture[str]
) -> None:
    """Apprise does not say which status it was but in words, of which none goes to the log."""

    def echo(seen: Seen) -> Reply:
        told = {"error": f"user:hush-hush {seen.headers['authorization']} {seen.path}"}
        return Reply(status, json.dumps(told).encode())

    given = {"url": {"env": "POSTSYNC_SECRET_NTFY"}, "body": "synced"}
    with peer(echo) as there:
        subject = Subject(handler, secrets={"POSTSYNC_SECRET_NTFY": of(there.url)})
        outcome = attempt(subject, [Reply()], parameters=given).outcome
    assert outcome.kind is OutcomeKind.TEMPORARY
    assert "ntfy took no message" in outcome.reason
    told = outcome.reason + "".join(capfd.readouterr())
    assert not [piece for piece in ("hush", "topic", "dXNlcjpodXNo") if piece in told]
    assert len(there.seen) == 1


def test_nobody_there_is_temporary(outbound: Outbound) -> None:
    """Refused, and reset after the request."""

    def reset(connection: socket.socket, _over: threading.Event) -> None:
        connection.recv(1)

    with pytest.raises(TemporaryError, match="ntfy took no message"):
        tell(outbound, of(f"http://127.0.0.1:{closed_port()}"))
    with raw_peer(reset) as port, pytest.raises(TemporaryError, match="ntfy took no message"):
        tell(outbound, of(f"http://127.0.0.1:{port}"))


def test_an_answer_that_never_ends_takes_no_longer_than_the_attempt(outbound: Outbound) -> None:
    """Each byte comes before a socket's timeout, so that only a time for all of it helps."""

    def drip(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while not over.wait(0.02):
            connection.sendall(b"x")

    with raw_peer(drip) as port, pytest.raises(TemporaryError, match=r"longer than 0\.5 s"):
        tell(outbound, of(f"http://127.0.0.1:{port}"), 0.5)


def test_a_redirect_is_not_followed(outbound: Outbound) -> None:
    """Whatever the address asks for: it could lead where nobody may be called."""
    with peer() as inside, peer(lambda _: Reply(307, b"", {"Location": inside.url})) as there:
        with pytest.raises(TemporaryError):
            tell(outbound, of(there.url, "?redirect=yes"))
        assert (len(there.seen), len(inside.seen)) == (1, 0)


def test_apprise_does_not_try_again_by_itself(outbound: Outbound) -> None:
    """The retry policy of the rule does."""
    with peer(lambda _: Reply(503)) as there, pytest.raises(TemporaryError):
        tell(outbound, of(there.url, "?retry=3"))
    assert len(there.seen) == 1


@pytest.mark.parametrize("scheme", [*sorted(DENIED), "JSON", "Syslog", "file", "x y", ""])
def test_what_writes_here_or_sends_anything_anywhere_is_refused(
    outbound: Outbound, scheme: str
) -> None:
    """The address is not told."""
    with pytest.raises(PermanentError) as caught:
        tell(outbound, f"{scheme}://127.0.0.1/hush-hush")
    assert "hush" not in str(caught.value)


LOCAL = re.compile(r"^ *(from|import) (subprocess|syslog|dbus|gi|win32|blink1)", re.MULTILINE)


def plugins() -> list[tuple[Any, set[str]]]:
    """The services of the installed version, with their schemes."""
    make: Any = NotificationManager
    manager, schemes_of = make(), cast("Any", URLBase.schemas)
    manager.load_modules()
    return [(one, schemes_of(one)) for one in manager.plugins()]


def test_no_scheme_of_this_version_was_overlooked() -> None:
    """An alias of a denied one is denied, and so is what works on the machine itself."""
    known = plugins()
    assert set().union(*(schemes for _, schemes in known)) >= DENIED
    for plugin, schemes in known:
        assert schemes <= DENIED or not schemes & DENIED, schemes
        source = Path(inspect.getfile(plugin)).read_text()
        if LOCAL.search(source):
            assert schemes <= DENIED, schemes


def test_no_argument_of_this_version_was_overlooked() -> None:
    """Those that name a file; what is not tried below belongs to a scheme that is denied."""
    found = {
        (min(schemes), name)
        for plugin, schemes in plugins()
        for name, told in plugin.template_args.items()
        if told.get("private") and re.search("path|file", str(told.get("name")), re.IGNORECASE)
        if not schemes <= DENIED
    }
    assert found == {
        ("discord", "template"), ("guilded", "template"), ("mailto", "pgpprv"),
        ("mailto", "pgppub"), ("slack", "template"), ("tgram", "template"),
        ("workflow", "template"),
    }  # fmt: skip


MAIL = "mailtos://u:hush-hush@example.com?to=a@b.example&pgp=encrypt"


@pytest.mark.parametrize(
    "url",
    [
        "workflows://example.com:443/hushhushhushhush/bbbbbbbbbbbbbbbbb/?template=/etc/passwd",
        "workflows://example.com:443/hushhushhushhush/bbbbbbbbbbbbbbbbb/?%20Template%20=/etc/hosts",
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#x?template=/etc/passwd",
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/?x=1;template=/etc/passwd",
        "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js?template=http://169.254.169.254/",
        "guilded://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js?template=/etc/passwd",
        "tgram://123456789:hush-hush_value_is_long1234567890ab/12315544?template=/etc/passwd",
        f"{MAIL}&pgppub=/etc/passwd",
        f"{MAIL}&pgpprv=file:///etc/passwd",
    ],
)
def test_an_argument_that_reads_a_file_is_refused(outbound: Outbound, url: str) -> None:
    """However it is spelt, since it is looked for in what Apprise made of it."""
    with pytest.raises(PermanentError, match="names a file") as caught:
        tell(outbound, url)
    assert "hush" not in str(caught.value)


def test_certificates_are_always_checked(outbound: Outbound) -> None:
    """The hint names the way to an authority of one's own."""
    with pytest.raises(PermanentError, match=r"always checked.*REQUESTS_CA_BUNDLE"):
        tell(outbound, "ntfys://ntfy.example.com/topic?verify=no")


def test_an_address_that_apprise_does_not_understand_is_permanent(
    outbound: Outbound, capfd: pytest.CaptureFixture[str]
) -> None:
    """Another try would not help, and what Apprise says of it goes nowhere."""
    with pytest.raises(PermanentError, match="does not understand this tgram address") as caught:
        tell(outbound, "tgram://hush-hush")
    assert "hush" not in str(caught.value) + "".join(capfd.readouterr())


@pytest.mark.parametrize(
    "url",
    [
        "ntfy://169.254.169.254/topic",
        "ntfy://2852039166/topic",
        "gotify://[fe80::a9fe:a9fe]/hushhushhushhus",
        "mailto://u:p@example.com?smtp=169.254.169.254&to=a@b.example",
    ],
)
def test_the_address_policy_is_asked(outbound: Outbound, url: str) -> None:
    """No message goes to a metadata address, in whatever spelling."""
    with pytest.raises(PermanentError, match="never called"):
        tell(outbound, url)


def test_a_name_is_judged_by_its_addresses() -> None:
    """A network that is denied is denied under every name."""
    outbound = Outbound(deny_networks=[ip_network("127.0.0.0/8"), ip_network("::1/128")])
    with peer() as there, pytest.raises(PermanentError, match="denied by denyNetworks"):
        tell(outbound, of(there.url).replace("127.0.0.1", "localhost"))
    assert there.seen == []
    outbound.close()
