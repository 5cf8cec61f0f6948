"""`postsync show SYNC`: what came of it at a glance, and what of its story is told."""

from __future__ import annotations

import json
import re
from pathlib import Path
from threading import Timer
from typing import Any

import pytest
from desks import ANN, desk, put_in_force
from house import House
from in_process import Postsync
from sqlalchemy import text

from receiver.ledger.engine.sqlite import SqliteLedger

RULES = """
- name: purge
  match: {resources: [{kind: ConfigMap, name: "a*"}]}
  actions:
  - {name: call, uses: log.message, with: {text: "1"}}
  - {name: tell, uses: log.message, wave: 1, target: application, with: {text: "2"}}
  onFailure: [{name: alarm, uses: log.message, with: {text: "3"}}]
- name: careful
  match: {resources: [{kind: ConfigMap, name: "b*"}]}
  limits: {maxTargets: 1}
  actions: [{name: call, uses: log.message, with: {text: "4"}}]
- name: whole
  match: {application: {name: shop}}
  actions: [{name: tell, uses: log.message, target: application, with: {text: "5"}}]
- name: elsewhere
  match: {application: {name: blog}}
  actions: [{uses: log.message, with: {text: "6"}}]
- name: secrets
  match: {resources: [{kind: Secret}]}
  actions: [{uses: log.message, with: {text: "7"}}]
"""


@pytest.fixture
def ledger(file_ledger: SqliteLedger) -> SqliteLedger:
    """One engine: what is told is the same for both."""
    return file_ledger


@pytest.fixture
def house(ledger: SqliteLedger, home: Path) -> House:
    """A house beside a server."""
    assert home.is_dir()
    made = House.of(ledger, RULES)
    put_in_force(made)
    return made


@pytest.fixture
def sync(house: House) -> str:
    """A sync of which two runs of twelve fail, a plan is held, and two rules do not match."""
    sync = house.sync(*(f"a{number}" for number in range(12)), "b1", "b2")
    runs = house.claim()
    bad = [run for run in runs if run.target.endswith(("a3", "a7"))]
    house.end(*bad, fails="answered 404")
    house.end(*(run for run in runs if run not in bad))
    house.work()
    return sync


def shown(postsync: Postsync, *arguments: str) -> list[str]:
    code, out, err = postsync("show", *arguments)
    assert (code, err) == (0, "")
    return out.splitlines()


def ids(house: House, where: str) -> str:
    rows = house.query(f"SELECT id FROM runs WHERE {where} ORDER BY target_index")
    return ", ".join(rows)


@pytest.mark.usefixtures("sync")
def test_it_begins_with_a_line_for_each_rule_and_action(house: House, postsync: Postsync) -> None:
    """What failed first, then what waits: how many, in which state and why, with their ids."""
    lines = shown(postsync)
    plans = dict(house.plans("rule, id"))
    purge, careful, whole = plans["purge"], plans["careful"], plans["whole"]
    failed, skipped, alarm, held, told = (
        ids(house, where)
        for where in (
            "state = 'failed'", "state = 'skipped'", "action = 'alarm'", "rule = 'careful'",
            "rule = 'whole'",
        )
    )  # fmt: skip
    why = "call (ConfigMap/shop/a3): answered 404"
    at = lines.index("14 resources, 14 changed")
    assert lines[at + 1 : at + 6] == [
        "",
        f"purge: failed, matched 12 resources, plan {purge}: {why}",
        f"  call (log.message): 2 failed: answered 404 ({failed}); 10 succeeded",
        f"  tell (log.message, wave 1): 1 skipped: wave 0 failed ({skipped})",
        f"  alarm (log.message, onFailure): 1 succeeded ({alarm})",
    ]
    assert lines[at + 6].startswith(f"careful: held, matched 2 resources, plan {careful}; waits ")
    assert lines[at + 6].endswith(": it matches 2 resources, more than maxTargets 1")
    assert lines[at + 7 : at + 11] == [
        f"  call (log.message): 2 waiting ({held})",
        f"whole: succeeded, matched the sync itself, plan {whole}",
        f"  tell (log.message): 1 succeeded ({told})",
        "did not match: elsewhere, secrets",
    ]


def test_actions_are_told_in_their_turn(house: House, postsync: Postsync) -> None:
    """By waves, then as the rule has them; ids of one millisecond are in no order."""
    names = [f"step_{number}" for number in range(12)]
    actions = "\n".join(
        f"  - {{name: {name}, uses: log.message, target: application, wave: {number % 2}, with: "
        "{text: x}}"
        for number, name in enumerate(names)
    )
    house.use(f"- name: long\n  match: {{resources: [{{kind: ConfigMap}}]}}\n  actions:\n{actions}")
    house.sync("a")
    house.work()
    told = [line.split()[0] for line in shown(postsync) if line.startswith("  step_")]
    assert told == names[::2] + names[1::2]


@pytest.mark.usefixtures("sync")
def test_what_is_equal_is_told_once(postsync: Postsync) -> None:
    """With how many more there are; `--whole` tells each."""
    lines = shown(postsync)
    at = next(n for n, line in enumerate(lines) if "rule.matched" in line and "purge" in line)
    assert lines[at + 1].strip().startswith("ConfigMap/shop/a0: resources[0]: ConfigMap shop/a0")
    assert lines[at + 2].strip() == "and 11 resources more like it"
    succeeded = [line for line in lines if "attempt.succeeded" in line and "rule=purge" in line]
    assert [line.partition("target=")[2].split()[0] for line in succeeded] == [
        "ConfigMap/shop/a0", "application",
    ]  # fmt: skip
    assert any("and 9 more like it, the last at " in line for line in lines)
    assert sum("attempt.failed" in line for line in lines) == 2
    every = shown(postsync, "--whole")
    assert not any("more like it" in line for line in every)
    assert sum("attempt.succeeded" in line and "rule=purge" in line for line in every) == 11
    assert len(every) > len(lines) + 20


def test_a_sync_of_more_runs_than_a_page_has_is_told_whole(
    house: House, postsync: Postsync
) -> None:
    """So is its plan: every run is counted, every line of the trail is there."""
    sync = house.sync(*(f"a{number}" for number in range(600)))
    desk(house).cancel_sync(ANN, sync)
    (plan,) = house.query("SELECT id FROM plans WHERE rule = 'purge'")
    for wanted, every in ((sync, "sync_id IS NOT NULL"), (plan, f"plan_id = '{plan}'")):
        lines = shown(postsync, wanted, "--whole")
        text = "\n".join(lines)
        assert "call (log.message): 600 cancelled" in text
        (count,) = house.query(f"SELECT COUNT(*) FROM audit_events WHERE {every}")
        assert count > 600
        assert sum(re.match(r"\d\d:\d\d:\d\d\.", line) is not None for line in lines) == count


@pytest.mark.parametrize("kind", ["sync", "plan"])
def test_json_has_all_pages_as_one(
    house: House, sync: str, kind: str, postsync: Postsync, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Programs need not know of pages."""
    assert sync
    (wanted,) = house.query(f"SELECT MIN(id) FROM {kind}s")
    once = json.loads(postsync("show", wanted, "--output", "json")[1])
    monkeypatch.setattr("receiver.ledger.queries.bulky.MOST_BYTES", 1)
    assert json.loads(postsync("show", wanted, "--output", "json")[1]) == once


def test_the_last_one_stays_the_one_while_it_is_waited_for(
    house: House, postsync: Postsync
) -> None:
    """Another sync may come meanwhile."""
    first = house.sync("a1")
    later = Timer(1, house.sync, ("a2",), {"at": 1})
    later.start()
    lines = shown(postsync, "last", "--wait", "3")
    later.join()
    assert lines[1].startswith(f"sync {first}")


@pytest.mark.usefixtures("sync")
def test_only_what_failed(postsync: Postsync) -> None:
    """The plans that failed, with the runs that did, and their lines."""
    lines = shown(postsync, "--failed")
    text = "\n".join(lines)
    assert "call (log.message): 2 failed: answered 404" in text
    assert not any(word in text for word in ("succeeded", "careful", "whole", "did not match"))
    assert "plan.failed" in text


@pytest.mark.usefixtures("sync")
def test_only_one_rule(postsync: Postsync) -> None:
    """Its plan and lines; of one that did not match why."""
    text = "\n".join(shown(postsync, "--rule", "careful"))
    assert "careful: held" in text
    assert not any(word in text for word in ("purge", "whole", "did not match"))
    assert "ConfigMap/shop/b1: resources[0]: ConfigMap shop/b1 changed" in text


@pytest.mark.usefixtures("sync")
def test_what_one_rule_left_out_is_told_with_the_reason(postsync: Postsync) -> None:
    """Whether it matched others or nothing; equal reasons once."""
    lines = shown(postsync, "--rule", "secrets")
    at = lines.index("secrets did not match")
    assert lines[at + 1 : at + 3] == [
        "  ConfigMap/shop/a0: resources[0].kind wants Secret, saw ConfigMap",
        "  and 13 resources more like it",
    ]
    assert "elsewhere did not match: application.name wants blog, saw shop" in (
        shown(postsync, "--rule", "elsewhere")
    )
    lines = shown(postsync, "--rule", "purge")
    at = lines.index("it left out:")
    assert lines[at + 1 : at + 3] == [
        f"  ConfigMap/shop/{name}: resources[0].name wants a*, saw {name}" for name in ("b1", "b2")
    ]
    lines = shown(postsync, "--rule", "careful")
    at = lines.index("it left out:")
    assert lines[at + 2] == "  and 11 resources more like it"


@pytest.mark.usefixtures("sync")
def test_only_one_run(house: House, postsync: Postsync) -> None:
    """Its plan's line, its own, and theirs of the trail."""
    run = house.query("SELECT id FROM runs WHERE state = 'failed' ORDER BY id")[0]
    lines = shown(postsync, "--run", run)
    assert f"  call (log.message): 1 failed: answered 404 ({run})" in lines
    assert [line.split()[1] for line in lines if "target=" in line] == [
        "attempt.started", "attempt.failed", "run.failed",
    ]  # fmt: skip


def test_programs_get_what_was_chosen(sync: str, postsync: Postsync) -> None:
    """Of the answer of the API; without a choice all of it."""
    found: dict[str, Any] = {}
    for name, arguments in (("all", []), ("failed", ["--failed"]), ("rule", ["--rule", "whole"])):
        out = postsync("show", sync, *arguments, "--output", "json")[1]
        found[name] = json.loads(out)
    assert {plan["rule"] for plan in found["all"]["plans"]} == {"purge", "careful", "whole"}
    assert [len(plan["runs"]) for plan in found["failed"]["plans"]] == [2]
    assert [plan["rule"] for plan in found["rule"]["plans"]] == ["whole"]
    assert found["failed"]["id"] == sync


@pytest.mark.usefixtures("sync")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--rule", "purg"], "there was no rule purg in force then (did you mean purge?)"),
        (["--run", "r-nothing"], "has no run r-nothing"),
    ],
)
def test_what_it_has_not_is_wrong_usage(
    postsync: Postsync, arguments: list[str], words: str
) -> None:
    """With the nearest name, where there is one."""
    code, _, err = postsync("show", *arguments)
    assert (code, words in " ".join(err.split())) == (2, True)


def test_a_run_that_is_tried_again_says_what_the_last_attempt_came_to(
    house: House, postsync: Postsync
) -> None:
    """Beside when the next one is: while a target is down, that is what one looks for."""
    house.sync("b1")
    (run,) = (run for run in house.claim() if run.rule == "careful")
    house.end(run, fails="connection refused", temporary=True)
    with house.ledger.write() as connection:  # else the next one may be due already
        connection.execute(text("UPDATE runs SET due_at = due_at + 60000"))
    (line,) = (line for line in shown(postsync, "--run", run.id) if "call (log.message)" in line)
    assert "1 due, waiting for its next attempt at 20" in line
    assert line.endswith(f", after: connection refused ({run.id})")


@pytest.mark.parametrize("about", ["--rule", "--run", ""])
def test_where_nothing_failed_that_is_said(
    house: House, sync: str, postsync: Postsync, about: str
) -> None:
    """What is named is known all the same."""
    if about:
        (run,) = house.query("SELECT id FROM runs WHERE rule = 'whole'")
        wanted = {"--rule": "whole", "--run": run}[about]
        (line,) = shown(postsync, sync, about, wanted, "--failed")
        assert line == f"nothing of {about[2:]} {wanted} in sync {sync} of argocd/shop has failed"
        return
    sync = house.sync("b1", application="zoo", at=60)
    house.work()
    assert shown(postsync, "--failed") == [f"nothing of sync {sync} of argocd/zoo has failed"]
    told = json.loads(postsync("show", "--failed", "--output", "json")[1])
    assert (told["id"], told["plans"]) == (sync, [])


def test_of_a_sync_that_failed_itself_the_reason_is_told(house: House, postsync: Postsync) -> None:
    """It has no plans that could have."""
    sync = house.store("b1")
    with house.ledger.write() as connection:
        connection.execute(text("UPDATE syncs SET state = 'failed', reason = 'three deaths'"))
    assert "failed: three deaths" in shown(postsync, sync, "--failed")


def test_many_reasons_of_one_action_are_counted(house: House, postsync: Postsync) -> None:
    """A service that says something else to each would fill the screen."""
    house.sync(*(f"a{number}" for number in range(12)))
    for number, run in enumerate(house.claim()):
        if run.rule == "purge":
            house.end(run, fails=f"answered {400 + number}")
    house.work()
    (line,) = (line for line in shown(postsync) if line.startswith("  call (log.message)"))
    assert line.count("answered") == 5
    assert line.endswith("; 7 more for 7 other reasons")


def test_a_plan_that_collects_says_until_when(house: House, postsync: Postsync) -> None:
    """It has no runs yet that could."""
    house.use(RULES.replace("limits: {maxTargets: 1}", "debounce: {window: 1h, maxWait: 2h}"))
    house.sync("b1")
    (line,) = (line for line in shown(postsync) if line.startswith("careful: collecting"))
    assert "; waits for further syncs, until 20" in line
