"""Commands that act on many plans and runs at a time."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from desks import ANN, desk, put_in_force
from house import House
from in_process import Postsync, listening

from receiver.core.model import Outcome, OutcomeKind
from receiver.ledger.engine.sqlite import SqliteLedger

RULES = """
- name: careful
  match: {application: {name: shop}, resources: [{kind: ConfigMap}]}
  limits: {maxTargets: 1}
  actions: [{name: call, uses: log.message, with: {text: "1"}}]
- name: asks
  match: {application: {name: wiki}, resources: [{kind: ConfigMap}]}
  actions: [{name: ask, uses: log.message, suspend: true, with: {text: "2"}}]
- name: calls
  match: {application: {name: zoo}, resources: [{kind: ConfigMap}]}
  actions: [{name: call, uses: log.message, with: {text: "3"}}]
"""


@pytest.fixture
def ledger(file_ledger: SqliteLedger) -> SqliteLedger:
    """One engine: what is told is the same for both."""
    return file_ledger


@pytest.fixture
def house(ledger: SqliteLedger, home: Path) -> House:
    """Two held plans, a held run, and a run that is due."""
    assert home.is_dir()
    made = House.of(ledger, RULES)
    put_in_force(made)
    made.sync("a", "b", application="shop")
    made.sync("a", "b", application="shop", at=1)
    made.sync("a", application="wiki", at=2)
    made.sync("a", application="zoo", at=3)
    made.turn()
    return made


def type_in(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))


def test_all_that_is_held_is_approved_after_a_yes(
    house: House, postsync: Postsync, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With how many there are of what, before it asks."""
    type_in(monkeypatch, "y\n")
    code, out, err = postsync("approve", "--held", "--reason", "meant")
    assert (code, out.splitlines()[-1]) == (0, "approved 2 plans, 1 run")
    assert err.splitlines()[:2] == [
        "        2  held plans of careful", "        1  held runs of asks ask",
    ]  # fmt: skip
    assert "Approve 2 plans, 1 run?" in err
    assert len(house.events("plan.approved")) == 2
    assert house.events("run.approved")[0]["reason"] == "meant"


def test_without_a_yes_nothing_is_approved(
    house: House, postsync: Postsync, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script says --yes."""
    type_in(monkeypatch, "")
    code, _, err = postsync("approve", "--held")
    assert code == 1
    assert "Aborted!" in err
    assert "with --yes it does not ask" in err
    assert house.events("*.approved") == []
    assert postsync("approve", "--held", "--yes")[0] == 0
    assert len(house.events("*.approved")) == 3


def test_filters_choose_among_what_is_held(house: House, postsync: Postsync) -> None:
    """By rule, Application and time; what is not held is left alone."""
    assert postsync("approve", "--rule", "calls", "--yes")[1] == "nothing is like that\n"
    assert postsync("approve", "--application", "wiki", "--yes")[1] == "approved 1 run\n"
    assert postsync("approve", "--rule", "careful", "--since", "1h", "--yes")[1] == (
        "approved 2 plans\n"
    )
    assert postsync("cancel", "--held", "--yes")[1] == "nothing is like that\n"
    assert len(house.events("*.approved")) == 3


def test_open_plans_are_cancelled_by_their_rule(house: House, postsync: Postsync) -> None:
    """And with --held only what waits for an approval."""
    assert postsync("cancel", "--held", "--rule", "careful", "--yes")[1] == "cancelled 2 plans\n"
    assert postsync("cancel", "--rule", "calls", "--yes")[1] == "cancelled 1 plan\n"
    assert sorted(house.plans("rule, state")) == [
        ("asks", "active"), ("calls", "cancelled"), ("careful", "cancelled"),
        ("careful", "cancelled"),
    ]  # fmt: skip


def test_several_ids_are_acted_upon_and_what_cannot_be_is_told(
    house: House, postsync: Postsync
) -> None:
    """The others are done all the same; the exit code says that not all were."""
    first, second = house.query("SELECT id FROM plans WHERE rule = 'careful' ORDER BY id")
    desk(house).cancel_plan(ANN, first)
    code, out, err = postsync("cancel", first, second, "--yes")
    assert (code, out) == (1, "cancelled 1 plan\n")
    assert f"plan {first} has ended" in err
    code, out, _ = postsync("approve", first, second, "--yes", "--output", "json")
    found = json.loads(out)
    assert (code, found["approved"], sorted(found["refused"])) == (1, [], sorted([first, second]))


@pytest.mark.parametrize("command", ["approve", "cancel", "acknowledge", "retry"])
@pytest.mark.usefixtures("house")
def test_ids_or_filters_say_what_is_meant(postsync: Postsync, command: str) -> None:
    """Neither, or both, is a mistake in the typing."""
    assert postsync(command)[0] == 2
    assert postsync(command, "r-1", "--rule", "calls")[0] == 2


def test_failed_runs_are_acknowledged(house: House, postsync: Postsync) -> None:
    """By id or by filters; afterwards nothing has failed."""
    house.end(*house.claim(), fails="answered 404")
    code, out, _ = postsync("acknowledge", "--rule", "calls", "--reason", "by hand", "--yes")
    assert (code, out) == (0, "acknowledged 1 run\n")
    assert "acknowledged" in postsync("runs", "--rule", "calls")[1]
    (run,) = house.query("SELECT id FROM runs WHERE rule = 'calls'")
    code, out, err = postsync("acknowledge", run)
    assert (code, out) == (1, "")
    assert "is acknowledged; only one that failed" in err


def test_a_sync_of_which_many_failed_is_retried_after_a_yes(
    house: House, postsync: Postsync, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The id of a sync or a plan does not say how many there are; a single one is not asked for."""
    house.sync("a", "b", application="zoo", at=60)
    runs = house.claim()
    house.end(*runs, fails="answered 404")
    type_in(monkeypatch, "n\n")
    code, out, err = postsync("retry", "last")
    assert (code, out) == (1, "")
    assert err.startswith("        2  failed runs of calls call\nRetry 2 runs that failed?")
    assert house.events("run.retried") == []
    type_in(monkeypatch, "y\n")
    assert postsync("retry", "last")[:2] == (0, "2 runs retried\n")
    assert postsync("retry", runs[0].sync)[:2] == (0, "1 run retried\n")


def test_a_retry_that_is_refused_stops_no_other(house: House, postsync: Postsync) -> None:
    """What was done and what was not are both told; the exit code says that not all was."""
    house.end(*house.claim(), fails="answered 404")
    (failed,) = house.query("SELECT id FROM runs WHERE rule = 'calls'")
    (held,) = house.query("SELECT id FROM runs WHERE rule = 'asks'")
    code, out, err = postsync("retry", "r-000", held, failed)
    assert (code, out) == (1, "1 run retried\n")
    assert "r-000" in err
    assert f"`postsync approve {held}`" in err
    told = json.loads(postsync("retry", failed, "--output", "json")[1])
    assert (told["retried"], told["runs"], [*told["refused"]]) == (0, [], [failed])


@pytest.mark.parametrize(
    ("command", "where"),
    [(("cancel", "--rule", "careful"), "at plan p-"), (("retry", "--all"), "between two requests")],
)
def test_what_was_done_before_the_server_went_away_is_told(
    house: House, home: Path, postsync: Postsync, monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...], where: str,
) -> None:  # fmt: skip
    """Else an operator would have to look for it in the trail."""
    house.sync("a", application="zoo", at=4)
    house.end(*house.claim(), fails="answered 404")
    monkeypatch.setattr("receiver.cli.retry.AT_ONCE", 1)
    for posts, told in ((0, False), (1, True)):
        with listening(house.ledger, home, posts=posts) as url:
            monkeypatch.setenv("POSTSYNC_URL", url)
            code, out, err = postsync(*command, "--yes")
        assert (code, out, "gone away" in err) == (1, "", True)
        assert (f"broke off {where}" in err, "1 before it are done" in err) == (told, told)


def test_what_failed_of_a_sync_is_acknowledged_after_a_yes(
    house: House, postsync: Postsync, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its id or a plan's, or `last`; a single run is not asked for."""
    house.sync("a", "b", application="zoo", at=60)
    first, *others = house.claim()
    house.end(first, *others, fails="answered 404")
    assert postsync("acknowledge", first.sync)[:2] == (0, "acknowledged 1 run\n")
    type_in(monkeypatch, "y\n")
    code, out, err = postsync("acknowledge", "last", "--reason", "by hand")
    assert (code, out.splitlines()[-1]) == (0, "acknowledged 2 runs")
    assert "Acknowledge 2 runs?" in err
    assert len(house.events("run.acknowledged")) == 3


def test_the_newest_sync_is_cancelled(house: House, postsync: Postsync) -> None:
    """It is `last`, alone as among others."""
    sync = house.sync("a", application="zoo", at=60)
    assert postsync("cancel", "last", "--yes")[:2] == (0, f"cancelled {sync}, 1 run\n")
    assert len(house.events("plan.cancelled")) == 1


def test_a_run_that_waits_for_a_time_is_tried_now(house: House, postsync: Postsync) -> None:
    """Of several those that do; the hint for the others names a command."""
    house.answer(Outcome(OutcomeKind.TEMPORARY, "busy", delay=600), *house.claim())
    (run,) = house.query("SELECT id FROM runs WHERE rule = 'calls'")
    (held,) = house.query("SELECT id FROM runs WHERE rule = 'asks'")
    assert f"`postsync retry --now {run}`" in postsync("retry", run)[2]
    assert postsync("retry", "--now", run)[:2] == (0, "hurried 1 run\n")
    assert [one.id for one in house.claim()] == [run]
    code, _, err = postsync("retry", "--now", held)
    assert code == 1
    assert "waits for no time" in err
    for arguments in ([], ["--rule", "calls"], [run, "--rule", "calls"]):
        code, _, err = postsync("retry", "--now", *arguments)
        assert (code, "--now takes the ids of runs" in err) == (2, True)


def test_the_hint_about_a_run_that_waits_for_no_time_names_the_command(
    house: House, postsync: Postsync
) -> None:
    """A path of the API is nothing to type."""
    house.end(*house.claim(), fails="answered 404")
    (failed,) = house.query("SELECT id FROM runs WHERE rule = 'calls'")
    err = postsync("retry", "--now", failed)[2]
    assert (f"`postsync retry {failed}`" in err, "/v1/" in err) == (True, False)
