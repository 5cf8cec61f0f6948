"""A run that waits says why."""

from __future__ import annotations

import re

import pytest
from desks import ANN, desk, house_of, only
from house import House
from sqlalchemy import event
from stories import plan_of, run_of, story_of

from receiver.core.model import Outcome, OutcomeKind
from receiver.ledger.audit.key_values import PACE, put_value
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.queries.reader import Reader
from receiver.ledger.queries.rows import RunWithTries
from receiver.ledger.queue.heartbeats import DispatcherHeartbeat, write_heartbeat
from receiver.ledger.queue.pauses import Scope
from receiver.ledger.queue.rate_limits import block_lane

WAVES = """
- name: r
  match: {resources: [{kind: ConfigMap}]}
  actions:
  - {name: one, uses: log.message, with: {text: "1"}}
  - {name: two, uses: log.message, wave: 1, target: application, with: {text: "2"}}
"""


@pytest.fixture
def house(ledger: Ledger) -> House:
    """With a dispatcher that is alive."""
    made = house_of(ledger, WAVES)
    alive(made)
    return made


def alive(house: House) -> None:
    with house.ledger.write() as connection:
        write_heartbeat(connection, "w-1", DispatcherHeartbeat(house.ledger.now(connection)))


def waits(house: House, action: str = "one", plan: int = 0) -> str:
    """What the first run of an action waits for, in the list, and in each story that has it."""
    reader = Reader(house.ledger)
    wanted = house.plans("id")[plan]
    rows = [run for run in reader.runs(limit=100) if run["plan"] == wanted]
    row = min((run for run in rows if run["action"] == action), key=lambda run: str(run["id"]))
    alone, of_plan = run_of(reader, row["id"]), plan_of(reader, wanted)
    of_sync = story_of(reader, row["sync"])
    assert alone
    assert of_plan
    assert of_sync
    stories: list[RunWithTries] = [alone, *of_plan["runs"]]
    stories += [run for one in of_sync["plans"] for run in one["runs"]]
    told = {one["waitsFor"] for one in stories if one["id"] == row["id"]}
    assert told == {row["waitsFor"]}
    return str(row["waitsFor"])


def test_a_run_of_a_later_wave_names_its_wave_and_what_is_open_before_it(house: House) -> None:
    """And nothing once it is over."""
    house.sync("a", "b")
    assert waits(house, "two") == "wave 1: 2 runs of earlier waves are not over"
    house.work()
    assert waits(house, "two") == ""


def test_a_run_that_failed_for_the_time_being_names_its_next_attempt(house: House) -> None:
    """With the time; when that has come, it is its turn."""
    house.sync("a")
    house.answer(Outcome(OutcomeKind.TEMPORARY, reason="503", delay=600), *house.claim())
    due = only([run for run in Reader(house.ledger).runs(limit=9) if run["state"] == "due"])
    assert waits(house) == f"its next attempt at {due['dueAt']}"
    house.pass_time(3600)
    alive(house)
    assert "its turn in the lane" in waits(house)


def test_a_run_that_the_other_side_works_on_says_when_it_is_asked_again(house: House) -> None:
    """It is not waiting for us."""
    house.sync("a")
    house.answer(Outcome(OutcomeKind.PENDING, state={}, delay=60), *house.claim())
    assert waits(house).startswith("the other side, which is asked again at 20")


@pytest.mark.parametrize(
    ("scope", "name", "what"),
    [
        (Scope.ALL, "", "all"),
        (Scope.RULE, "r", "rule r"),
        (Scope.HANDLER, "log.message", "handler log.message"),
    ],
)
def test_a_paused_run_names_the_pause(house: House, scope: Scope, name: str, what: str) -> None:
    """By whom, and why; another pause has nothing to do with it."""
    house.sync("a")
    desk(house).pause(ANN, Scope.RULE, "other")
    assert "pause" not in waits(house)
    desk(house).pause(ANN, scope, name)
    assert waits(house) == f"the end of the pause of {what}, set by ann: mended"


def test_a_run_that_is_due_names_its_place_in_its_lane(house: House) -> None:
    """The runs before it, the rate of its service, the lane's share, a limit that was told."""
    house.sync("a", "b")
    first, second = sorted(
        (run for run in Reader(house.ledger).runs(limit=9) if run["state"] == "due"),
        key=lambda run: str(run["waitsFor"]),
    )
    lane = house.query("SELECT lane FROM runs WHERE lane != ''")[0]
    assert first["waitsFor"] == f"its turn in the lane {lane}: 0 before it"
    assert second["waitsFor"] == f"its turn in the lane {lane}: 1 before it"
    with house.ledger.write() as connection:
        put_value(connection, PACE, {"share": 1, "rates": {"log.message": 0.5}})
    assert waits(house).endswith("before it, at most 0.5 a second")
    house.claim(free=1)
    due = only([run for run in Reader(house.ledger).runs(limit=9) if run["state"] == "due"])
    assert due["waitsFor"].startswith("its lane's share: ")
    with house.ledger.write() as connection:
        uow = UnitOfWork(connection, house.ledger.now(connection))
        block_lane(uow, lane, uow.now + 60_000)
        uow.finish()
    due = only([run for run in Reader(house.ledger).runs(limit=9) if run["state"] == "due"])
    assert due["waitsFor"].startswith(f"the limit that {lane} has told, until 20")


def test_without_a_dispatcher_a_run_says_so(ledger: Ledger) -> None:
    """It may wait for long."""
    house = house_of(ledger, WAVES)
    house.sync("a")
    assert waits(house) == "a dispatcher: none gives a sign of life"


def test_runs_of_a_plan_that_has_not_started_wait_for_what_that_waits_for(ledger: Ledger) -> None:
    """A place under its key, or a person."""
    house = house_of(ledger, WAVES + "  concurrency: {key: one, limit: 1}\n")
    for number in range(3):
        house.sync("a", at=number)
    first, *_, last = Reader(house.ledger).plans(limit=9)[::-1]
    place = f"a place under the key 'one': 2 plans before its own, limit 1; {first['id']} has it"
    assert (waits(house, plan=2), last["waitsFor"], first["waitsFor"]) == (place, place, "")
    held = house_of(ledger, WAVES + "  limits: {maxTargets: 1}\n")
    held.sync("a", "b", at=9)
    why = waits(held, plan=-1)
    held_since, _, reason = why.partition(": ")
    assert re.fullmatch(r"the approval of the plan, held since 20\S+Z", held_since)
    assert reason == "it matches 2 resources, more than maxTargets 1"
    assert Reader(held.ledger).plans(limit=1)[0]["waitsFor"] == why


def test_a_suspended_run_waits_for_an_approval(ledger: Ledger) -> None:
    """And the next part of a batch for the part before it."""
    house = house_of(ledger, WAVES.replace("log.message, with", "log.message, suspend: true, with"))
    house.sync("a")
    house.turn()
    assert re.fullmatch(r"an approval, held since 20\S+Z", waits(house))


def test_a_plan_that_collects_says_until_when_and_for_whom(ledger: Ledger) -> None:
    """Wherever plans are shown: in their list, with their sync, and alone."""
    house = house_of(ledger, WAVES + "  debounce: {window: 1h, maxWait: 2h}\n")
    sync = house.sync("a")
    reader = Reader(house.ledger)
    (listed,) = reader.plans(limit=9)
    (of_list,) = reader.syncs(limit=9)[0]["plans"]
    story, alone = story_of(reader, sync), plan_of(reader, listed["id"])
    assert story
    assert alone
    assert listed["waitsFor"] == f"further syncs, until {listed['dueAt']}"
    told = {one["waitsFor"] for one in (of_list, alone, *story["plans"])}
    assert told == {listed["waitsFor"]}


def test_since_when_runs_are_held_is_read_once_for_a_sync(ledger: Ledger) -> None:
    """That reads all of the sync's lines, of which there may be ten for each of its runs."""
    house = house_of(ledger, WAVES + "  limits: {maxTargets: 1}\n")
    house.sync(*(f"a{number}" for number in range(20)))
    (plan,) = house.plans("id")
    asked: list[str] = []
    event.listen(ledger.engine, "before_cursor_execute", lambda *said: asked.append(said[2]))
    told = plan_of(Reader(ledger), plan)
    assert told
    assert {run["waitsFor"].partition(",")[0] for run in told["runs"]} == {
        "the approval of the plan"
    }
    assert len([one for one in asked if "audit_events" in one]) <= 4
