"""What a message shows of an answer."""

from __future__ import annotations

import json

import pytest
from peers import Reply, door, peer

from receiver.contract.responses import Answer, raise_for_status
from receiver.core.errors import PermanentError
from receiver.outbound import Outbound
from receiver.outbound.secret_masking import Masker

HIDDEN = "not shown since a secret is in the address"
JSON = {"content-type": "application/json; charset=utf-8"}


@pytest.mark.parametrize(
    ("headers", "body", "shown"),
    [
        ({"content-type": "text/plain"}, b"invalid_token\n", "invalid_token (text/plain)"),
        (JSON, b'{"error": "NOT_FOUND", "message": "T0ABC"}', "NOT_FOUND (application/json)"),
        (JSON, b'{"error": {"code": "InvalidHook", "a": 1}}', "InvalidHook (application/json)"),
        (JSON, b'{"message": "no hook T0ABC", "code": 10015}', "10015 (application/json)"),
        (JSON, b'{"code": "T0ABCDEF1"}', f"application/json, {HIDDEN}"),
        (JSON, b'{"code": true, "error": "no such hook"}', f"application/json, {HIDDEN}"),
        (JSON, b'["invalid_token"]', f"application/json, {HIDDEN}"),
        ({"content-type": "text/html"}, b"Cannot POST /x/y", f"text/html, {HIDDEN}"),
        ({"content-type": "a/b c"}, b"Cannot POST /x/y", f"a body, {HIDDEN}"),
        ({}, b"", ""),
        ({}, b"swordfish", f"a body, {HIDDEN}"),
    ],
)
def test_of_a_private_answer_only_what_cannot_have_the_secret(
    headers: dict[str, str], body: bytes, shown: str
) -> None:
    """An error code of letters, or a small number, and the content type."""
    answer = Answer(404, headers, body, mask=Masker(["swordfish"]).mask, private=True)
    assert answer.excerpt() == shown
    with pytest.raises(PermanentError) as caught:
        raise_for_status(answer)
    assert str(caught.value) == "answered 404" + (f": {shown}" if shown else "")


@pytest.mark.parametrize(
    ("location", "hint"),
    [
        ("https://other.example/services/T0ABCDEF1", "leads to other.example)"),
        ("/services/T0ABCDEF1", "answered 301"),
        ("https://[", "answered 301"),
    ],
)
def test_a_private_redirect_tells_the_host_alone(location: str, hint: str) -> None:
    """It leads to what was called, as a rule with a slash more."""
    with pytest.raises(PermanentError) as caught:
        raise_for_status(Answer(301, {"location": location}, b"", private=True))
    assert str(caught.value).endswith(hint)
    assert "T0ABC" not in str(caught.value)


def test_an_answer_is_private_where_a_secret_made_its_address() -> None:
    """And only there: a token in a header leaves the answer to be read."""
    outbound = Outbound()
    with peer(lambda seen: Reply(200, json.dumps(seen.path).encode())) as there:
        secret = door(outbound, 10, "T0ABCDEF1").send("GET", f"{there.url}/hook/T0ABCDEF1")
        plain = door(outbound, 10, "T0ABCDEF1").send(
            "GET", f"{there.url}/hook", headers={"Cookie": "T0ABCDEF1"}
        )
    outbound.close()
    assert (secret.private, plain.private) == (True, False)
    assert plain.excerpt() == '"/hook"'


def test_an_excerpt_of_a_long_answer_is_masked_before_it_is_cut() -> None:
    """Only its beginning is read, and half a secret does not show at its end."""
    secret = "hush-hush-12345678"
    body = b"x" * 190 + b" " * 100_000 + secret.encode() + b"y" * 2_000_000
    shown = Answer(500, {}, body, mask=Masker([secret]).mask).excerpt()
    assert shown == "x" * 190 + " [secret]y"
