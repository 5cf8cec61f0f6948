"""`postsync explain --sync`: a stored sync, by the rules in force or by files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from desks import house_of, put_in_force
from house import House
from in_process import Postsync
from notifications import resource

from receiver.ledger.engine.ledger import Ledger

RULES = """
- name: purge
  match: {resources: [{kind: ConfigMap, name: "a*"}]}
  actions: [{uses: log.message, with: {text: x}}]
"""


@pytest.fixture
def house(ledger: Ledger) -> House:
    house = house_of(ledger, RULES)
    put_in_force(house)
    return house


@pytest.fixture
def edited(home: Path) -> str:
    """A file of rules that no server has."""
    file = home / "edited.yaml"
    text = RULES.replace("a*", "b*")
    file.write_text(f"version: 1\nrules:{text}")
    return str(file)


def explained(postsync: Postsync, *arguments: str) -> dict[str, list[str]]:
    """By rule the resources that matched."""
    code, out, err = postsync("explain", *arguments, "--output", "json")
    assert code == 0, err
    return {
        rule["rule"]: [
            cell["resource"] for cell in rule["resources"] if cell["verdict"] == "matched"
        ]
        for rule in json.loads(out)["rules"]
    }


@pytest.mark.usefixtures("home")
def test_by_the_rules_in_force(house: House, postsync: Postsync) -> None:
    """Without any file; by its id or as the last."""
    sync = house.sync("a1", "b1")
    for name in (sync, "last"):
        assert explained(postsync, "--sync", name) == {"purge": ["ConfigMap/shop/a1"]}
    code, out, _ = postsync("explain", "--sync", "last", "--matched")
    assert code == 0
    assert "ConfigMap shop/a1" in out
    assert "b1" not in out
    assert "log.message -> resource: ConfigMap/shop/a1" in out


def test_by_edited_files(house: House, postsync: Postsync, edited: str) -> None:
    """The same notification, before the rules are in force."""
    sync = house.sync("a1", "b1")
    for name in (sync, "last"):
        assert explained(postsync, "--sync", name, "--rules", edited) == {
            "purge": ["ConfigMap/shop/b1"]
        }


def test_both_tell_the_same_of_the_same_rules(
    house: House, postsync: Postsync, edited: str
) -> None:
    """Whether the server or the command has matched them."""
    house.sync("a1", resource("web", kind="Deployment", images=["shop:1"]))
    Path(edited).write_text(f"version: 1\nrules:{RULES}")
    told: list[Any] = []
    for more in ([], ["--rules", edited]):
        out = postsync("explain", "--sync", "last", *more, "--output", "json")[1]
        told.append(json.loads(out))
    assert told[0] == told[1]


def test_notes_say_what_is_not_known(house: House, postsync: Postsync, edited: str) -> None:
    """What edited rules ask of live objects that nobody looked at."""
    house.sync("a1", "b1")
    Path(edited).write_text(
        f"version: 1\nrules:{RULES.replace('name:', 'labels: {tier: web}, name:', 2)}".replace(
            "- labels: {tier: web}, name: purge", "- name: purge"
        )
    )
    out = postsync("explain", "--sync", "last", "--rules", edited)[1]
    assert "so it is unknown: labels." in " ".join(out.split())


@pytest.mark.parametrize("with_files", [True, False])
def test_an_unknown_name_is_told_with_the_nearest(
    house: House, postsync: Postsync, edited: str, *, with_files: bool
) -> None:
    """Of a rule, a resource, or a sync."""
    house.sync("a1")
    more = ["--rules", edited] if with_files else []
    for option, name, words in (
        ("--rule", "purg", "there is no rule purg (did you mean purge?)"),
        ("--resource", "ConfigMap/a2", "no resource ConfigMap/a2 (did you mean ConfigMap/a1?)"),
    ):
        code, _, err = postsync("explain", "--sync", "last", *more, option, name)
        assert code == (2 if with_files else 1)
        assert words in " ".join(err.split())
    code, _, err = postsync("explain", "--sync", "s-nothing", *more)
    assert (code, "s-nothing" in err) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "say what is explained: --sync SYNC, or the FILE of a notification"),
        (["--sync", "last", "--payload", "-"], "say what is explained"),
        (["--sync", "last", "--sender", "x"], "--sender is for a FILE"),
        (["--sync", "last", "--channel", "sync"], "--channel is for a FILE"),
    ],
)
def test_wrong_usage_ends_with_2(postsync: Postsync, arguments: list[str], words: str) -> None:
    """Neither source, both, or what the stored sync has itself."""
    code, _, err = postsync("explain", *arguments)
    assert (code, words in err) == (2, True)
