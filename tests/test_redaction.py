"""What others have sent, shown without what its names call a credential."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from receiver.inspection.redaction import redacted, redacted_query, redacted_text


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ({"password": "x"}, {"password": "[secret]"}),
        ({"apiKey": 5, "dry": True}, {"apiKey": "[secret]", "dry": True}),
        ({"a": [{"dbPassword": "x"}]}, {"a": [{"dbPassword": "[secret]"}]}),
        ({"name": "dbPassword", "value": "x"}, {"name": "dbPassword", "value": "[secret]"}),
        ({"name": "db", "value": "x"}, {"name": "db", "value": "x"}),
        ({"secret": {"name": "x", "n": None}}, {"secret": {"name": "[secret]", "n": None}}),
        (
            {"kind": "Secret", "data": {"a": "eA=="}, "metadata": {"name": "s"}},
            {"kind": "Secret", "data": {"a": "[secret]"}, "metadata": {"name": "s"}},
        ),
        ({"kind": "ConfigMap", "data": {"a": "x"}}, {"kind": "ConfigMap", "data": {"a": "x"}}),
        ({"labels": {"token": "blue"}}, {"labels": {"token": "blue"}}),
        ("https://me:pw@git.example.com/a", "https://[secret]@git.example.com/a"),
        ("https://example.com/?a=1&access_token=x", "https://example.com/?a=1&access_token=[secret]"),
        ("a: 1\nauth:\n  password: x y\nb: 2", "a: 1\nauth:\n  password: [secret]\nb: 2"),
        ("export API_KEY=x", "export API_KEY=[secret]"),
        ("API_KEY=x", "API_KEY=[secret]"),
        ('{"token": "x"}', '{"token": "[secret]"}'),
        ('{"a":  "x"}', '{"a":  "x"}'),
        ("password: |\n    X\n\n    Y\nb: 2", "password: [secret]\nb: 2"),
        ("a:\n  - apiKey: >-\n      X\n    b: 2", "a:\n  - apiKey: [secret]\n    b: 2"),
        ("token:\n  X\nb: 2", "token:\n  [secret]\nb: 2"),
        ("token:\n- X\n- Y\nb: 2", "token:\n[secret]\nb: 2"),
        ("conn: {password: X, b: 2}", "conn: {password: [secret], b: 2}"),
        ('db: {"password": "X,Y"}', 'db: {"password": [secret]}'),
        ("db: {'credentials': {a: {b: X}, c: Y}, d: 1}", "db: {'credentials': [secret], d: 1}"),
        ("kind: Secret\nstringData:\n  a: X\nb: 2", "kind: Secret\nstringData:\n  [secret]\nb: 2"),
        ("data:\n  a: X\nkind: Secret", "data:\n  [secret]\nkind: Secret"),
        ("kind: ConfigMap\ndata:\n  a: X", "kind: ConfigMap\ndata:\n  a: X"),
        ("- name: APIKEY\n  value: |\n    X\n- b", "- name: APIKEY\n  value: [secret]\n- b"),
        ({"Cookie": "x"}, {"Cookie": "[secret]"}),
        ({"DD-Application-Key": "x"}, {"DD-Application-Key": "[secret]"}),
        ("X-Vault-Token: X", "X-Vault-Token: [secret]"),
        ("run --password=X --a=1", "run --password=[secret] --a=1"),
        ("https://bot:pa/ss@host/a", "https://[secret]@host/a"),
        ("postgres://u:p@ss@host/a", "postgres://[secret]@host/a"),
        ("https://host/a b@c", "https://host/a b@c"),
        ("configmap/flags configured", "configmap/flags configured"),
    ],
)  # fmt: skip
def test_a_value_that_a_name_calls_a_credential_is_masked(sent: Any, shown: Any) -> None:
    """As a key, beside it, in a text; whatever else there is stays."""
    assert redacted(sent) == shown
    assert json.loads(json.dumps(redacted([sent]))) == [shown]


def test_the_query_of_an_address_likewise() -> None:
    """A template may put anything there."""
    sent = {"token": "x", "application": "shop", "from": "http://u:p@h/"}
    assert redacted_query(sent) == {
        "token": "[secret]", "application": "shop", "from": "http://[secret]@h/",
    }  # fmt: skip


@pytest.mark.parametrize(
    "part",
    [
        *("-", ".", "a-", "- ", "'", "a ", "://", "?a", "export ", "{", "{ ", "{password:", "[a:"),
        *("{password:{", '{"token":{"', '"', '"a', '\\"', "\\", "a=", "token=", "token='", "\n"),
        *("name=", "name ", "name:token value:{", "name:token,value:\n", "kind:", '"token":""a'),
        *("token:\n", "  token:\n", "a\n token:", 'token:\\"', "://@"),
    ],
)
def test_a_long_text_is_searched_once(part: str) -> None:
    """At this size a search that tries each way to divide the text would not end."""
    assert len(redacted_text(part * (500_000 // len(part)) + "\n=")) > 0


@pytest.mark.parametrize("levels", [400, 600, 900, 5000])
@pytest.mark.parametrize("brackets", ["[]", '{"a":}'])
def test_a_text_nested_too_deep_is_masked_as_a_whole(levels: int, brackets: str) -> None:
    """Its list has other notifications, which are shown."""
    text = brackets[:-1] * levels + "1" + brackets[-1] * levels
    assert redacted([{"note": text}, "x"]) in ([{"note": note}, "x"] for note in (text, "[secret]"))


def test_a_long_name_is_not_kept() -> None:
    """It is masked by its end; what remembers the names has no reference to it."""
    name = "a" * 100_000 + "Password"
    before = sys.getrefcount(name)
    assert redacted({name: "x"}) == {name: "[secret]"}
    assert sys.getrefcount(name) == before


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ('{"a": {"n": "x"}, "password": "hunter2-a", "m": ""v"}',
         '{"a": {"n": "x"}, "password": [secret], "m": ""v"}'),
        ('{"password": ""hunter2,-a"", "m": 1}', '{"password": [secret], "m": 1}'),
        ('{"token": hunter2, "m": ""v"}', '{"token": [secret], "m": ""v"}'),
        ('{"credentials": "{"user": "hunter2", "x": "hunter2"}", "m": 1}',
         '{"credentials": [secret]", "m": 1}'),
        ('{"p": [{"name":"dbPassword","value":"hunter2"}], "m": ""v"}',
         '{"p": [{"name":"dbPassword","value":[secret]}], "m": ""v"}'),
        ('{"values": "a: 1\\npassword: hunter2\\nb: 2", "m": ""v"}',
         '{"values": "a: 1\\npassword: [secret]\\nb: 2", "m": ""v"}'),
        ('{"values": "{\\"token\\": \\"hunter2,x\\"}", "m": ""v"}',
         '{"values": "{\\"token\\": [secret]}", "m": ""v"}'),
        ('{"kind": "Secret", "data": {"a": "hunter2"}, "m": ""v"}',
         '{"kind": "Secret", "data": [secret], "m": ""v"}'),
        ('{"token": "hunter2', '{"token": [secret]'),
    ],
)  # fmt: skip
def test_in_broken_json_likewise(sent: str, shown: str) -> None:
    """A template that forgot toJson sends credentials as the others do."""
    assert redacted(sent) == shown
