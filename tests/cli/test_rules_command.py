"""`postsync rules`: what is in force, and how it does."""

from __future__ import annotations

import json

import pytest
from desks import ANN, HOLDING, desk, failed, live_house_of, refuse_files
from house import House
from in_process import Postsync

from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.queue.pauses import Scope

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def house(ledger: Ledger) -> House:
    return live_house_of(ledger, HOLDING)


def test_the_list_begins_with_what_fails(house: House, postsync: Postsync) -> None:
    """With the place in the file, and what became of the day's plans."""
    failed(house, "b")
    code, out, err = postsync("rules")
    assert (code, err) == (0, "")
    heading, first, *others = out.splitlines()
    assert heading.split("  ")[0] == "RULE"
    assert first.split()[:2] == ["careful", "failed"]
    assert "1 failed" in first
    assert first.split()[-1] == "r.yaml:7"
    assert [line.split()[:4] for line in others] == [
        ["call", "-", "never", "matched"], ["ask", "-", "never", "matched"],
    ]  # fmt: skip


def test_one_rule_is_told_with_the_commands_that_tell_more(
    house: House, postsync: Postsync
) -> None:
    """What it matched last, who paused it, and how to repeat what failed."""
    sync = failed(house, "b")
    desk(house).pause(ANN, Scope.RULE, "careful")
    code, out, _ = postsync("rules", "careful")
    assert code == 0
    assert out.splitlines()[0] == "careful: paused, failed  (r.yaml:7)"
    assert f"sync {sync} of argocd/shop" in out
    assert "rule careful by ann since 20" in out
    (plan,) = house.plans("id")
    assert f"what failed: `postsync show {sync} --rule careful --failed`" in out
    assert f"again: `postsync retry {plan}`" in out


def test_what_was_let_be_is_not_told_to_be_retried(house: House, postsync: Postsync) -> None:
    """What failed is shown all the same: the plan stays failed."""
    sync = failed(house, "b")
    desk(house).acknowledge_run(ANN, house.query("SELECT id FROM runs WHERE state = 'failed'")[0])
    out = postsync("rules", "careful")[1]
    assert "postsync retry" not in out
    assert f"`postsync show {sync} --rule careful --failed`" in out
    assert "1 acknowledged" in postsync("show", sync, "--rule", "careful", "--failed")[1]


@pytest.mark.usefixtures("house")
def test_programs_get_what_the_api_answers(postsync: Postsync) -> None:
    """Of the list, and of one."""
    code, out, _ = postsync("rules", "--output", "json")
    assert (code, len(json.loads(out)["rules"])) == (0, 3)
    code, out, _ = postsync("rules", "call", "--output", "json")
    assert (code, json.loads(out)["rule"]) == (0, "call")


def test_older_rules_are_told_to_be_older(house: House, postsync: Postsync) -> None:
    """On stderr, beside the list."""
    refuse_files(house, "r.yaml:1: no such kind")
    code, out, err = postsync("rules")
    assert code == 0
    assert "newer rule files are refused" in err
    assert "call" in out


@pytest.mark.usefixtures("house")
def test_an_unknown_rule_is_an_error_with_the_way_out(postsync: Postsync) -> None:
    """As of every command."""
    code, _, err = postsync("rules", "cal")
    assert code == 1
    assert "did you mean call?" in err


def test_before_the_first_start_it_says_so(postsync: Postsync) -> None:
    """And where to look."""
    code, out, _ = postsync("rules")
    assert code == 0
    assert "no rules are in force" in out
