"""notify.apprise: what it lets through, and that it tells no address."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from peers import Reply, Seen, call, door, peer

from handlers.notify_apprise import DENIED, NotifyApprise, handler
from receiver.contract import Outcome, PermanentError, Succeeded, TemporaryError
from receiver.outbound import Outbound
from receiver.testkit import Subject
from receiver.testkit.registration import check_example, check_strictness, check_words

KIT = Subject(handler)


@pytest.fixture
def outbound() -> Iterator[Outbound]:
    made = Outbound()
    yield made
    made.close()


def tell(outbound: Outbound, url: str, **given: Any) -> Outcome:
    params = NotifyApprise.model_validate({"url": url, "body": "synced", **given})
    return handler.run(params, call(door(outbound, 5), timeout=5.0))


def of(url: str) -> str:
    """An address of the service ntfy at our server, with a secret in it."""
    return f"ntfy://user:hush-hush@{urlsplit(url).netloc}/topic"


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


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
def test_a_refusal_is_temporary_and_tells_no_secret(outbound: Outbound, status: int) -> None:
    """Apprise does not say which status it was but in words."""

    def echo(seen: Seen) -> Reply:
        return Reply(status, str(dict(seen.headers)).encode())

    with peer(echo) as there, pytest.raises(TemporaryError, match="ntfy took no message") as caught:
        tell(outbound, of(there.url))
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("scheme", [*sorted(DENIED), "JSON", "file", "x y"])
def test_what_writes_here_or_sends_anything_anywhere_is_refused(
    outbound: Outbound, scheme: str
) -> None:
    """The address is not told."""
    with pytest.raises(PermanentError) as caught:
        tell(outbound, f"{scheme}://127.0.0.1/hush-hush")
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "workflows://host/hush-hush/a?template=/etc/passwd",
        "msteams://host/hush-hush?Template=x",
        "mailtos://u:hush-hush@example.com?pgpkey=/etc/passwd",
        "ntfy://hush-hush@host/topic?attach=/etc/passwd",
    ],
)
def test_an_argument_that_reads_a_file_is_refused(outbound: Outbound, url: str) -> None:
    """However it is spelt."""
    with pytest.raises(PermanentError, match="reads a local file") as caught:
        tell(outbound, url)
    assert "hush" not in str(caught.value)


def test_an_address_that_apprise_does_not_understand_is_permanent(outbound: Outbound) -> None:
    """Another try would not help."""
    with pytest.raises(PermanentError, match="does not understand this tgram address") as caught:
        tell(outbound, "tgram://hush-hush")
    assert "hush" not in str(caught.value)


def test_the_address_policy_is_asked_as_far_as_a_name_can_tell(outbound: Outbound) -> None:
    """No message goes to a metadata address."""
    with pytest.raises(PermanentError, match="never called"):
        tell(outbound, "ntfy://169.254.169.254/topic")
