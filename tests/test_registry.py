"""Handlers are found, and their parameters checked."""

from __future__ import annotations

import sys
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from toy_handlers import post, say, toy_registry

from handlers import slack_message
from receiver.core.errors import PermanentError, PostsyncError, SettingsError
from receiver.rules.expressions.cel import Expressions
from receiver.rules.handlers.entry_points import GROUP, Origin, load
from receiver.rules.handlers.registry import Registry
from receiver.rules.handlers.secret_refs import put_values, split_secrets


def found(tree: dict[str, Any], **more: Any) -> list[str]:
    mistakes = toy_registry().check_parameters(post, tree, Expressions(), **more)
    return [str(mistake) for mistake in mistakes]


def test_get() -> None:
    """A handler is found by its name."""
    assert toy_registry().get("toy.post") is post


def test_unknown_name() -> None:
    """An unknown name comes with the nearest one."""
    with pytest.raises(PostsyncError) as caught:
        toy_registry().get("toy.pots")
    assert str(caught.value) == "there is no handler toy.pots (did you mean toy.post?)"


def test_a_handler_without_its_library_can_be_read_about_and_not_used() -> None:
    """`check` refuses a rule that names it, with the way out; an attempt ends so too."""
    bare = replace(say, extra="toys", library="no_such_library.inside")
    registry = Registry([bare], {"toy.say": Origin("postsync-handler-toy", "1.0")})
    assert registry.find("toy.say") is bare
    assert not registry.complete(bare)
    with pytest.raises(PostsyncError) as caught:
        registry.get("toy.say")
    assert str(caught.value) == (
        "handler toy.say needs the extra toys, which is not installed "
        "(`pip install 'postsync-handler-toy[toys]'`)"
    )


def test_names_are_unique() -> None:
    """Two handlers of one name are refused: neither can be meant."""
    with pytest.raises(SettingsError, match=r"two handlers have the name toy\.say"):
        Registry([say, say])


@pytest.mark.parametrize(
    ("tree", "mistakes"),
    [
        ({"url": "http://x"}, []),
        ({"url": "${{ sync.id }}", "method": "${{ 'GET' }}", "expect": "${{ [200] }}"}, []),
        ({"url": {"env": "POSTSYNC_SECRET_URL"}, "headers": {"a": {"file": "b"}}}, []),
        ({"url": "http://x", "expect": [200, "${{ 201 }}"]}, []),
        ({"url": "http://x", "json": {"a": "${{ 1 }}"}, "body": None}, []),
        (
            {"url": "http://x", "method": "POTS"},
            ["method: must be GET, POST or PUT (did you mean POST?)"],
        ),
        ({"method": "${{ 'GET' }}"}, ["url: is missing"]),
        (
            {"url": "${{ sync.id }}", "mehtod": "${{ 1 }}"},
            ["mehtod: unknown key (did you mean method?)"],
        ),
        ({"url": "http://x", "expect": ["ok", "${{ 1 }}"]}, ["expect[0]: must be a whole number"]),
        (
            {"url": "http://x", "headers": {"a": 1}},
            ["headers.a: must be a string (put it in quotes)"],
        ),
        ({"url": "http://x", "json": 1, "body": "b"}, ["json and body exclude each other"]),
        (
            {"url": "http://x", "poll": {"url": "http://x", "untill": "${{ 1 }}"}},
            [
                "poll.until: is missing",
                "poll.untill: unknown key (did you mean until?)",
            ],
        ),
        (
            {"url": "http://x", "poll": {"url": "http://x", "until": "answr.ok"}},
            ["poll.until: unknown name answr.ok (did you mean answer?)"],
        ),
        (
            {"url": {"file": "/etc/passwd"}},
            ["url.file: must be a name below the secrets folder, without .. and no / first"],
        ),
    ],
)
def test_written_parameters(tree: dict[str, Any], mistakes: list[str]) -> None:
    """What is written is checked as far as it is known before anything is rendered."""
    assert found(tree) == mistakes


def test_what_is_stored_already_is_not_judged_anew() -> None:
    """A literal that was let through once is taken as it is, so that its runs go on."""
    tree: dict[str, Any] = {
        "url": "http://x",
        "token": "abc",
        "tags": [],
        "headers": {"Cookie": "a=b"},
    }
    assert len(found(tree)) == 3
    assert found(tree, secrets=()) == []
    assert toy_registry().build(post, tree).token == "abc"


def test_rendered_parameters() -> None:
    """After rendering everything is checked but the secrets; no reference is read any more."""
    tree, secrets = split_secrets({"url": {"env": "POSTSYNC_SECRET_URL"}, "expect": ["ok"]})
    assert found(tree, secrets=secrets) == ["expect[0]: must be a whole number"]
    rendered = {"url": {"env": "POSTSYNC_SECRET_URL"}}
    assert found(rendered, secrets=()) == ["url: must be a string"]


def test_quotes_are_proposed_only_where_they_help() -> None:
    """What an expression gives stays a number, however the YAML quotes the expression."""
    tree = {"url": "http://x", "headers": {"a": 1}}
    assert found(tree) == ["headers.a: must be a string (put it in quotes)"]
    assert found(tree, secrets=()) == [
        "headers.a: must be a string (write string(...) in the expression)"
    ]


def test_a_count_is_known_though_the_entries_are_not() -> None:
    """A list that is too long is so whatever its expressions give."""
    tree = {"text": "x", "token": {"env": "POSTSYNC_SECRET_A"}, "channel": "C"}
    blocks = [{"type": "section", "text": "${{ sync.revision }}"}] * 51
    mistakes = Registry([slack_message.handler]).check_parameters(
        slack_message.handler, tree | {"blocks": blocks}, Expressions()
    )
    assert [str(mistake) for mistake in mistakes] == ["blocks: must have at most 50 entries"]


def test_snake_case_is_no_name() -> None:
    """Parameters have their camelCase names only."""
    assert found({"url": "http://x", "json_": 1}) == ["json_: unknown key (did you mean json?)"]


def test_build() -> None:
    """With its secrets in place a tree becomes the handler's parameters."""
    tree, _ = split_secrets({"url": {"env": "POSTSYNC_SECRET_URL"}, "expect": [204]})
    params = toy_registry().build(post, put_values(tree, {"/url": "http://x"}))
    assert (params.url, params.expect) == ("http://x", [204])


def test_build_tells_no_value() -> None:
    """What does not fit is named by its path; the value may be a secret and is not told."""
    with pytest.raises(PermanentError) as caught:
        toy_registry().build(post, {"url": "http://x", "expect": ["hunter2"], "method": "hunter2"})
    assert str(caught.value) == (
        "with: method: must be GET, POST or PUT; expect[0]: must be a whole number"
    )


def entry(value: str) -> EntryPoint:
    return EntryPoint("third", value, GROUP)


@pytest.mark.parametrize("value", ["a_handler:one", "a_handler:several", "a_handler:made"])
@pytest.mark.usefixtures("plugin")
def test_entry_point(value: str) -> None:
    """An entry point is a handler, a list of them, or a callable returning either."""
    assert [handler.name for handler in load(entry(value))] == ["toy.say"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("no_such_module:one", "No module named 'no_such_module'"),
        ("a_handler:missing", "no attribute 'missing'"),
        ("a_handler:broken", "ZeroDivisionError: division by zero"),
        ("a_handler:number", "gives int, not a Handler"),
    ],
)
@pytest.mark.usefixtures("plugin")
def test_broken_entry_point(value: str, message: str) -> None:
    """A third party's mistake is told with the entry point that it came by."""
    with pytest.raises(SettingsError, match=message) as caught:
        load(entry(value))
    assert f"entry point postsync.handlers third = {value}" in str(caught.value)


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a_handler.py").write_text(
        "from toy_handlers import say as one\n"
        "several = (one,)\n"
        "made = lambda: [one]\n"
        "broken = lambda: 1 / 0\n"
        "number = [1]\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "a_handler", raising=False)
