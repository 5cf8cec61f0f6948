"""What an operator asks at three in the morning: each question has one command that answers it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from desks import house_of, put_in_force
from house import House
from in_process import Postsync

from receiver.ledger.engine.sqlite import SqliteLedger

RULES = """
- name: purge
  match: {application: {name: shop}, resources: [{kind: ConfigMap, name: "assets*"}]}
  actions: [{uses: log.message, with: {text: "purge ${{ resource.name }}"}}]
- name: migrate
  match: {application: {name: shop}, resources: [{kind: Deployment}]}
  actions: [{uses: log.message, with: {text: migrated}}]
"""


@pytest.fixture
def ledger(file_ledger: SqliteLedger) -> SqliteLedger:
    """One engine: what is told is the same for both."""
    return file_ledger


@pytest.fixture
def house(ledger: SqliteLedger, home: Path) -> House:
    """The purge of one asset failed, another one went well."""
    assert home.is_dir()
    made = house_of(ledger, RULES)
    put_in_force(made)
    made.sync("assets-css", "assets-js", "other")
    first, second = made.claim()
    made.end(first, fails="answered 404: no such zone")
    made.end(second)
    made.work()
    return made


@pytest.mark.usefixtures("house")
def test_did_it_run(postsync: Postsync) -> None:
    """`show last` begins with it: which rule, which action, how many, and why the rest did not."""
    code, out, _ = postsync("show", "last")
    assert code == 0
    summary = out.split("\n\n")[1]
    assert "purge: failed, matched 2 resources" in summary
    assert "answered 404: no such zone" in summary


@pytest.mark.usefixtures("house")
def test_why_not(postsync: Postsync) -> None:
    """`explain --sync last --rule NAME`: of each resource what the rule asked and what it was."""
    code, out, _ = postsync("explain", "--sync", "last", "--rule", "migrate")
    assert code == 0
    words = " ".join(re.findall(r"[\w.\[\]]+", out))  # the table folds them as its width wants
    assert "kind wants Deployment saw ConfigMap" in words


def test_what_did_it_do(house: House, postsync: Postsync) -> None:
    """`show RUN`: what was sent, each attempt, and what came back."""
    run = house.query("SELECT id FROM runs WHERE state = 'failed'")[0]
    code, out, _ = postsync("show", run)
    assert code == 0
    assert "purge assets-" in out
    assert "answered 404: no such zone" in out


def test_do_it_again(house: House, postsync: Postsync) -> None:
    """`retry last`: what failed of the newest sync; `replay last` for all of it."""
    assert postsync("retry", "last")[:2] == (0, "1 run retried\n")
    house.work()
    assert house.plans() == ["succeeded"]
    assert postsync("replay", "last")[0] == 0


@pytest.mark.usefixtures("house")
def test_what_if(home: Path, postsync: Postsync) -> None:
    """`explain --sync last --rules FILE`: the edited rule on that very sync; `backtest` on many."""
    edited = home / "edited.yaml"
    edited.write_text(f"version: 1\nrules:{RULES.replace('assets*', 'other')}")
    code, out, _ = postsync("explain", "--sync", "last", "--rules", str(edited), "--matched")
    assert code == 0
    assert "ConfigMap shop/other" in out
    assert "assets" not in out
    code, out, _ = postsync("backtest", "--rules", str(edited), "--since", "7d")
    assert code == 0
    assert "purge" in out
