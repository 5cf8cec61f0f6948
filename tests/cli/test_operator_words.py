"""What commands say to operators, over a ledger whose dispatcher's work is done by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from desks import put_in_force, refuse_files
from house import House
from in_process import Postsync
from notifications import resource

from receiver.ledger.engine.sqlite import SqliteLedger
from receiver.ledger.queue.heartbeats import DispatcherHeartbeat, write_heartbeat

RULES = """
- name: purge
  match: {application: {name: shop}, resources: [{kind: ConfigMap}]}
  actions:
  - {name: one, uses: log.message, with: {text: "1"}}
  - {name: two, uses: log.message, wave: 1, target: application, with: {text: "2"}}
- name: careful
  match: {application: {name: blog}, resources: [{kind: ConfigMap}]}
  limits: {maxTargets: 1, otherwise: hold}
  actions:
  - {name: call, uses: log.message, with: {text: "3"}}
  - {name: tell, uses: log.message, wave: 1, target: application, with: {text: "4"}}
- name: gathers
  match: {application: {name: zoo}, resources: [{kind: ConfigMap}]}
  debounce: {window: 1h, maxWait: 2h}
  actions: [{name: tell, uses: log.message, with: {text: "6"}}]
- name: asks
  match: {application: {name: wiki}, resources: [{kind: ConfigMap}]}
  actions: [{name: ask, uses: log.message, suspend: true, with: {text: "5"}}]
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


def test_an_approval_shows_what_it_lets_go(house: House, postsync: Postsync) -> None:
    """How many runs in each wave, before it does, and how many it was."""
    house.sync("a", "b", "c", application="blog")
    (plan,) = house.plans("id")
    code, out, err = postsync("approve", plan)
    assert (code, out) == (0, f"approved {plan}, 4 runs\n")
    assert err.splitlines() == [
        "careful on argocd/blog: matches 3 resources, more than maxTargets 1",
        "  wave 0: 3 runs of call (log.message)",
        "  wave 1: 1 run of tell (log.message)",
    ]


def test_an_approval_of_a_plan_that_collects_counts_no_runs(
    house: House, postsync: Postsync
) -> None:
    """They are made when it starts."""
    house.sync("a", application="zoo")
    (plan,) = house.plans("id")
    assert postsync("approve", plan)[:2] == (0, f"approved {plan}; it starts now\n")


def test_the_help_of_approve_names_both_lists_of_what_waits(postsync: Postsync) -> None:
    """Runs wait for an approval, too."""
    out = postsync("approve", "--help")[1]
    assert "postsync plans --state held" in out
    assert "postsync runs --state held" in out


def test_an_empty_list_of_held_plans_names_the_runs_that_wait(
    house: House, postsync: Postsync
) -> None:
    """And the other way round; and what there is in other states."""
    house.sync("a", application="wiki")
    house.sync("a", application="shop")
    house.work()
    out = postsync("plans", "--state", "held")[1]
    assert out == (
        "no plan is like that; in other states: 1 active, 1 succeeded; "
        "1 run waits for an approval: `postsync runs --state held`\n"
    )
    assert "no plan is held either" in postsync("runs", "--rule", "purge", "--state", "held")[1]


def test_what_failed_of_the_newest_sync_is_retried(house: House, postsync: Postsync) -> None:
    """`last` is what it is elsewhere; the id of a sync or a plan does the same."""
    sync = house.sync("a", "b")
    house.end(*house.claim(), fails="refused")
    (plan,) = house.plans("id")
    for name in ("last", sync, plan):
        assert postsync("retry", name, "--yes")[:2] == (0, "2 runs retried\n")
        house.end(*house.claim(), fails="refused")
    house.sync("c", at=60)
    code, _, err = postsync("retry", "last")
    assert (code, "nothing of s-" in err, "has failed" in err) == (1, True, True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["retry", "r-000"], "`postsync runs` lists them"),
        (["show", "s-000"], "`postsync syncs` lists them"),
        (["retry", "p-000"], "`postsync plans` lists them"),
        (["approve", "r-RUN"], "`postsync runs --state held` lists it"),
        (["retry", "r-RUN"], "`postsync replay s-"),
    ],
)
def test_a_hint_names_the_command_and_not_the_api(
    house: House, postsync: Postsync, arguments: list[str], words: str
) -> None:
    """Whoever types commands has no use for a path."""
    house.sync("a")
    house.work()
    run = house.query("SELECT id FROM runs")[0]
    code, _, err = postsync(*(run if word == "r-RUN" else word for word in arguments))
    assert code == 1
    assert words in err
    assert "/v1/" not in err


def test_a_retry_while_the_files_are_refused_can_be_meant(house: House, postsync: Postsync) -> None:
    """The option reaches the server with each way to name runs."""
    house.sync("a")
    house.end(*house.claim(), fails="refused")
    refuse_files(house, "rules.yaml:1:1: no")
    for arguments in (["retry", "last"], ["retry", "--rule", "purge", "--yes"], ["replay", "last"]):
        code, _, err = postsync(*arguments)
        assert code == 1, err
        assert "rules.yaml:1:1: no" in err
        assert "--with-rules-in-force" in err
    assert postsync("retry", "last", "--with-rules-in-force")[0] == 0
    assert postsync("replay", "last", "--with-rules-in-force")[0] == 0
    told = json.loads(postsync("retry", "--all", "--yes", "--with-rules-in-force",
                               "--output", "json")[1])  # fmt: skip
    assert told == {"retried": 0, "runs": [], "refused": {}}


def test_a_sync_that_is_not_planned_is_not_shown_as_unchanged(
    house: House, postsync: Postsync
) -> None:
    """Nobody knows yet what it changed; what it waits for is said."""
    house.store("a")
    row, story = postsync("syncs")[1].splitlines()[-1], postsync("show")[1]
    assert "? of 1" in row
    assert row.endswith("not planned yet: no dispatcher gives a sign of life")
    assert "1 resources\nnot planned yet: no dispatcher" in story

    with house.ledger.write() as connection:
        write_heartbeat(connection, "w-1", DispatcherHeartbeat(house.ledger.now(connection)))
    assert postsync("syncs")[1].splitlines()[-1].endswith("not planned yet")


def test_without_rules_in_force_a_sync_says_so(
    ledger: SqliteLedger, postsync: Postsync, home: Path
) -> None:
    """With the first mistake of the files that were refused."""
    assert home.is_dir()
    house = House.of(ledger, RULES)
    house.store("a")
    refuse_files(house, "rules.yaml:1:1: no")
    told = "not planned yet: no rules are in force: rules.yaml:1:1: no"
    assert postsync("syncs")[1].splitlines()[-1].endswith(told)
    (row,) = json.loads(postsync("syncs", "--output", "json")[1])
    assert (row["changed"], row["reason"]) == (None, told)


def test_a_condition_that_fails_is_seen_in_the_list_and_in_the_story(
    house: House, postsync: Postsync
) -> None:
    """Beside what other rules did."""
    house.use(
        RULES
        + """
- name: odd
  match: {resources: [{kind: ConfigMap}], condition: "resource.images[0] == 'x'"}
  actions: [{uses: log.message, with: {text: x}}]
"""
    )
    house.sync("a", "b")
    house.work()
    row, story = postsync("syncs")[1].splitlines()[-1], postsync("show")[1]
    assert "purge succeeded; rule odd: condition failed, 2 times: " in row
    assert story.count("rule.error") == 1
    assert "times=2" in story
    assert "resource.images[0] == 'x'" in story


def test_the_newest_sync_is_called_last_by_every_filter(house: House, postsync: Postsync) -> None:
    """As by `show`."""
    house.sync("old")
    sync = house.sync("a", at=60)
    house.work()
    for command in ("runs", "plans", "tail"):
        arguments = [command, "--sync", "last", "--output", "json"]
        out = postsync(*arguments, *(["--since", "1h"] if command == "tail" else []))[1]
        rows = json.loads(f"[{','.join(out.splitlines())}]" if command == "tail" else out)
        assert {row["sync"] for row in rows} == {sync}


def test_what_runs_wait_for_stands_in_the_list_and_above_the_story(
    house: House, postsync: Postsync
) -> None:
    """Runs that wait for the same are one line of the story."""
    postsync("pause", "--rule", "purge", "--reason", "the CDN is down")
    house.sync("a", "b")
    rows = postsync("runs", "--state", "due")[1].splitlines()[1:]
    why = "waits for the end of the pause of rule purge, set by ann: the CDN is down"
    assert len(rows) == 2
    assert all(why in row for row in rows)
    story = postsync("show")[1]
    assert f"  one (log.message): 2 due, {why.replace('waits', 'waiting')} (r-" in story
    assert "  two (log.message, wave 1): 1 waiting for wave 1: 2 runs of earlier waves" in story


def test_show_says_of_each_rule_why_it_did_not_match(house: House, postsync: Postsync) -> None:
    """Only where none did: else the trail says what was done."""
    sync = house.sync(resource("a", "configmap/a unchanged"), "b", application="other")
    out = postsync("show", sync)[1]
    assert "careful did not match: application.name" in out
    sync = house.sync(
        resource("a", "configmap/a unchanged"),
        resource("b", "configmap/b unchanged"),
        application="blog",
    )
    out = postsync("show", sync)[1]
    assert "careful did not match: ConfigMap/shop/a" in out
    assert "(and 1 resource more)" in out
