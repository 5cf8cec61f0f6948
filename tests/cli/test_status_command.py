"""`postsync status`: whether all is well, and what needs a person."""

from __future__ import annotations

import json
from pathlib import Path

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


def fact(shown: str, name: str) -> str:
    """The first line about something."""
    (line,) = (line for line in shown.splitlines() if line.startswith(name))
    return line.removeprefix(name).strip()


def test_it_ends_with_0_while_all_is_well(house: House, postsync: Postsync) -> None:
    """And tells how everything is."""
    house.sync("a")
    house.work()
    code, out, err = postsync("status")
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "all is well"
    assert fact(out, "rules").startswith("3 rules in 1 file, digest ")
    assert fact(out, "dispatchers").startswith("1 alive, last sign of life ")
    assert fact(out, "senders").startswith("argocd: last at 20")
    assert [fact(out, name) for name in ("paused", "plans", "failing", "connections")] == [
        "none", "none", "none", "none",
    ]  # fmt: skip


def test_it_ends_with_1_and_says_what_to_do_next(house: House, postsync: Postsync) -> None:
    """For each thing that needs a person, a line and a command."""
    failed(house, "a")
    house.sync("b1", "b2", at=1)
    desk(house).pause(ANN, Scope.RULE, "call")
    refuse_files(house, "r.yaml:1: no such kind")
    code, out, _ = postsync("status")
    assert code == 1
    lines = out.splitlines()
    assert lines[0] == "4 things need a person:"
    assert [line.strip() for line in lines[2:9:2]] == [
        "postsync check",
        "postsync resume --rule call",
        "postsync plans --state held",
        "postsync retry --handler log.message --since 1h",
    ]
    assert fact(out, "paused").startswith("rule call by ann since 20")
    assert fact(out, "plans") == "1 held"
    assert "oldest held: p-" in out
    assert fact(out, "failing").endswith("1 run failed for good in the last hour: answered 404")
    assert "refused since 20" in out


@pytest.mark.usefixtures("house")
def test_programs_get_what_the_api_answers(postsync: Postsync) -> None:
    """With the same exit code."""
    code, out, _ = postsync("status", "--output", "json")
    assert code == 0
    found = json.loads(out)
    assert (found["well"], found["needs"]) == (True, [])


def test_before_the_first_start_it_says_so(postsync: Postsync, home: Path) -> None:
    """Neither rules nor a dispatcher."""
    code, out, _ = postsync("status")
    assert code == 1
    assert "no rules have been loaded yet" in fact(out, "rules")
    assert fact(out, "dispatchers") == "0 alive, never heard of"
    assert fact(out, "senders").startswith("argocd: nothing lately")
    assert home.is_dir()
