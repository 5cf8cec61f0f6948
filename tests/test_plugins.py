"""What is installed beside the receiver is taken as far as it can be used."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import Distribution, EntryPoint
from pathlib import Path

import pytest

from receiver.core.errors import PostsyncError
from receiver.rules.handlers.entry_points import GROUP, discover
from receiver.rules.handlers.registry import Registry

MODULE = """
from dataclasses import replace
from toy_handlers import post, say
good = post
same = replace(post, summary="Another one.")
taken = replace(say, name="log.message")
several = [say, taken]
name = replace(say, name="Say")
long = replace(say, name="toy." + 97 * "y")
params = replace(say, params=dict)
run = replace(say, run=None)
summary = replace(say, summary=None)
def leave():
    raise SystemExit(3)
"""


class Installed(Distribution):
    """A distribution with a name and a version alone."""

    def __init__(self, name: str) -> None:
        self._told = {"Name": name, "Version": "1.0"}

    def read_text(self, filename: str) -> str | None:
        lines = "".join(f"{key}: {value}\n" for key, value in self._told.items())
        return lines if filename == "METADATA" else None

    def locate_file(self, path: object) -> Path:
        return Path(str(path))


Point = Callable[..., EntryPoint]


@pytest.fixture
def point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Point:
    (tmp_path / "third_party.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "third_party", raising=False)

    def made(value: str, owner: str = "third") -> EntryPoint:
        bare = EntryPoint("toy", value if ":" in value else f"third_party:{value}", GROUP)
        return bare._for(Installed(owner))  # type: ignore[attr-defined,no-any-return] # how importlib does it

    return made


def test_a_handler_has_its_origin(point: Point) -> None:
    """The distribution's name and version, or built-in."""
    ours = point("handlers:builtin", "postsync-receiver")
    found, broken = discover([point("good"), ours])
    told = {one.handler.name: str(one.origin) for one in found}
    assert told["toy.post"] == "third 1.0"
    assert told["log.message"] == "built-in"
    assert broken == []


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("name", "registers a handler wrongly: the name 'Say' is not like service.verb"),
        ("long", "is not like service.verb, in lower case, at most 100 characters"),
        ("params", "params of toy.say is no subclass of receiver.contract.Params"),
        ("run", "run or lane of toy.say is no function"),
        ("summary", "summary or example of toy.say is no text"),
        ("leave", "is broken: SystemExit: 3"),
        ("nothing", "has no attribute 'nothing'"),
        ("no_such:x", "No module named 'no_such'"),
    ],
)
def test_a_broken_one_is_left_out_with_its_reason(point: Point, value: str, reason: str) -> None:
    """The others can be used; the reason names the entry point and the distribution."""
    found, broken = discover([point(value), point("good", "fourth")])
    assert [one.handler.name for one in found] == ["toy.post"]
    assert len(broken) == 1
    assert reason in broken[0].reason
    assert f"{point(value).value} (third 1.0)" in broken[0].reason


def test_a_built_in_handler_keeps_its_name(point: Point) -> None:
    """Nobody can slip another in; what else the distribution has can be used."""
    found, broken = discover([point("several"), point("handlers:builtin", "postsync-receiver")])
    told = {one.handler.name: str(one.origin) for one in found}
    assert (told["log.message"], told["toy.say"]) == ("built-in", "third 1.0")
    assert [one.reason for one in broken] == [
        "more than one handler has the name log.message: built-in and third 1.0"
    ]


def test_of_two_strangers_with_one_name_neither_is_used(point: Point) -> None:
    """The order in which they are found must not decide; `get` tells why."""
    found, broken = discover([point("good"), point("same", "fourth")])
    assert found == []
    with pytest.raises(PostsyncError) as caught:
        Registry([], broken=broken).get("toy.post")
    assert caught.value.message == (
        "handler toy.post cannot be used: "
        "more than one handler has the name toy.post: fourth 1.0 and third 1.0"
    )


def test_a_name_of_a_broken_service_has_its_reason(point: Point) -> None:
    """By the entry point's name; any other name is just not there."""
    _, broken = discover([point("nothing")])
    registry = Registry([], broken=broken)
    with pytest.raises(PostsyncError, match=r"handler toy\.any cannot be used: entry point"):
        registry.get("toy.any")
    with pytest.raises(PostsyncError, match=r"there is no handler other\.any"):
        registry.get("other.any")
