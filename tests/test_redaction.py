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


@pytest.mark.parametrize("part", ["-", ".", "a-", "- ", "'", "a ", "://", "?a", "export "])
def test_a_long_text_is_searched_once(part: str) -> None:
    """At this size a search that tries each way to divide the text would take hours."""
    text = part * (2_000_000 // len(part)) + "\n="
    assert redacted_text(text) == text


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
