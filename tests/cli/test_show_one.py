"""`postsync show RUN`, `show PLAN`: one of them alone; several at a time."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from desks import put_in_force
from house import House
from in_process import Postsync
from sqlalchemy import insert, select

from receiver.core.model import Json, Outcome, OutcomeKind
from receiver.ledger import tables
from receiver.ledger.engine.sqlite import SqliteLedger

RULES = """
- name: purge
  match: {resources: [{kind: ConfigMap}]}
  actions:
  - name: call
    uses: http.request
    with:
      url: "https://cdn.example.com/${{ resource.name }}"
      headers: {Authorization: {env: POSTSYNC_SECRET_CDN, format: "Bearer {}"}}
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


def run_of(house: House, target: str = "a") -> str:
    return str(house.query(f"SELECT id FROM runs WHERE target LIKE '%/{target}'")[0])


def test_a_run_tells_what_it_sends_each_attempt_and_what_came_of_it(
    house: House, postsync: Postsync
) -> None:
    """A secret is referred to; then come its lines of the trail, no other's."""
    sync = house.sync("a", "b")
    answer: dict[str, Json] = {"status": 200, "json": {"purged": 3}}
    house.answer(Outcome(OutcomeKind.SUCCEEDED, output=answer), *house.claim())
    run, (plan,) = run_of(house), house.plans("id")
    code, out, err = postsync("show", run)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[:3] == [
        f"run {run} succeeded",
        "call (http.request) of rule purge, wave 0, for ConfigMap/shop/a",
        f"plan {plan}, sync {sync} of argocd/shop",
    ]
    assert lines[3].startswith("ended 20")
    assert lines[3].endswith(", after 1 attempt")
    at = lines.index("parameters")
    parts = out.partition("parameters\n")[2].split("\n\n")
    assert "  url: https://cdn.example.com/a\n" in parts[0]
    assert "    Authorization:\n      env: POSTSYNC_SECRET_CDN\n      format: Bearer {}" in parts[0]
    assert parts[1].startswith("attempts\n  1  20")
    assert parts[1].endswith("  succeeded")
    assert parts[2] == "output\n  status: 200\n  json:\n    purged: 3"
    assert [line.split()[1] for line in parts[3].splitlines()] == [
        "attempt.started", "attempt.succeeded",
    ]  # fmt: skip
    assert at == 5


def test_a_run_of_more_attempts_than_a_page_has_is_told_whole(
    house: House, postsync: Postsync
) -> None:
    """What it was given and what came back are on the first page."""
    house.sync("a")
    house.end(*house.claim())
    a, many = tables.attempts, range(2, 1201)
    with house.ledger.write() as connection:
        (row,) = connection.execute(select(a)).mappings()
        connection.execute(insert(a), [{**row, "number": number} for number in many])
    code, out, err = postsync("show", run_of(house), "--output", "json")
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert [one["number"] for one in told["tries"]] == [1, *many]
    assert told["parameters"]["url"] == "https://cdn.example.com/a"
    assert told["next"] is None


def test_a_run_that_waits_says_for_what(house: House, postsync: Postsync) -> None:
    """And why the attempt before has failed."""
    house.sync("a")
    house.end(*house.claim(), fails="answered 503", temporary=True)
    lines = postsync("show", run_of(house))[1].splitlines()
    assert lines[3].startswith("waits for ")
    (attempt,) = (line for line in lines if line.startswith("  1  20"))
    assert attempt.endswith(": answered 503")


def test_a_plan_tells_its_actions_and_its_own_lines(house: House, postsync: Postsync) -> None:
    """Not those of other plans of the sync."""
    house.use(RULES + RULES.replace("purge", "other"))
    sync = house.sync("a")
    house.work()
    plan = dict(house.plans("rule, id"))["other"]
    lines = postsync("show", plan)[1].splitlines()
    assert lines[0] == f"other: succeeded, matched 1 resource, plan {plan}"
    assert lines[1].startswith("  call (http.request): 1 succeeded (r-")
    assert lines[2].startswith(f"of argocd/shop, sync {sync}, by rule set ")
    assert {word for line in lines for word in line.split() if word.startswith("rule=")} == {
        "rule=other"
    }


def test_several_are_told_one_after_the_other(house: House, postsync: Postsync) -> None:
    """As JSON they are a list; one alone is its object."""
    sync = house.sync("a", "b")
    house.work()
    run, other = run_of(house, "a"), run_of(house, "b")
    out = postsync("show", run, other, sync)[1]
    heads = [out.index(f"run {run}"), out.index(f"run {other}"), out.index("argocd/shop Succeeded")]
    assert heads == sorted(heads)
    told = json.loads(postsync("show", run, sync, "--output", "json")[1])
    assert [one["id"] for one in told] == [run, sync]
    assert json.loads(postsync("show", run, "--output", "json")[1])["id"] == run


def test_the_end_of_a_run_or_a_plan_is_waited_for(house: House, postsync: Postsync) -> None:
    """As long as it was told; what is held is not waited for."""
    house.sync("a")
    runs = house.claim()
    ending = threading.Timer(0.5, house.end, runs)
    ending.start()
    shown = postsync("show", run_of(house), "--wait", "60")[1]
    ending.join()
    assert shown.startswith(f"run {run_of(house)} succeeded")
    assert ": succeeded," in postsync("show", house.plans("id")[0], "--wait", "60")[1]


@pytest.mark.parametrize("option", [["--failed"], ["--rule", "purge"], ["--run", "r-1"]])
def test_what_is_of_a_sync_alone_is_wrong_usage(
    house: House, postsync: Postsync, option: list[str]
) -> None:
    """A part of a run there is not."""
    house.sync("a")
    code, _, err = postsync("show", run_of(house), *option)
    assert (code, "are for a sync" in err) == (2, True)
