"""`onNewer`: what becomes of a plan when a newer sync of its application makes another."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import pytest
from house import House, texts
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from receiver.core.model import Outcome, OutcomeKind
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.engine.open import open_ledger
from receiver.ledger.engine.sqlite import SqliteLedger

RULE = """
- name: purge
  match: {resources: [{kind: ConfigMap}]}
  onNewer: supersede
  actions:
  - uses: log.message
    with: {text: "${{ resource.name }} of ${{ sync.message }}"}
  - name: then
    uses: log.message
    wave: 1
    target: application
    with: {text: "all of ${{ sync.message }}"}
"""
QUEUE = RULE.replace("supersede", "queue")


def send(house: House, number: int, *names: str) -> str:
    return house.sync(*names, at=number, message=str(number))


def test_a_newer_plan_takes_over_what_an_older_one_has_not_started(ledger: Ledger) -> None:
    """What has started is finished, then the older plan ends, and the trail names the newer."""
    house = House.of(ledger, RULE)
    old = send(house, 1, "a", "b")
    (started,) = house.claim(free=1)
    new = send(house, 2, "a", "b", "c")
    house.turn()
    first, second = house.plans("id")
    assert house.plans() == ["active", "active"]
    house.end(started)
    assert house.plans() == ["superseded", "active"]
    assert sorted(texts(house.work())) == ["a of 2", "all of 2", "b of 2", "c of 2"]
    states = house.query("SELECT state, reason FROM runs WHERE plan_id = "
                         f"'{first}' ORDER BY rowid")  # fmt: skip
    why = f"superseded by plan {second} of sync {new}"
    assert states == [("succeeded", ""), ("superseded", why), ("superseded", why)]
    (told,) = house.events("plan.superseded")
    assert told == {
        "event": "plan.superseded", "sync": old, "plan": first, "run": None, "rule": "purge",
        "newerPlan": second, "newerSync": new,
    }  # fmt: skip
    assert len(house.events("run.superseded")) == 2


def test_a_newer_plan_takes_over_what_was_claimed_and_not_begun(ledger: Ledger) -> None:
    """It counted as under way while it waited for a thread."""
    house = House.of(ledger, RULE)
    send(house, 1, "a", "b")
    first, second = house.claim()
    send(house, 2, "a", "b")
    house.give_back(second)
    house.end(first)
    assert house.plans() == ["superseded", "active"]
    assert sorted(texts(house.work())) == ["a of 2", "all of 2", "b of 2"]
    (told,) = (one for one in house.events("run.superseded") if one["run"] == second.id)
    assert "superseded by plan" in told["reason"]


def test_a_plan_that_covers_less_supersedes_nothing(ledger: Ledger) -> None:
    """Nobody else would do what is left of the older one."""
    house = House.of(ledger, RULE)
    send(house, 1, "a", "b")
    send(house, 2, "a")
    house.work()
    assert house.plans() == ["succeeded"] * 2


def test_an_older_plan_that_comes_late_is_superseded_at_once(ledger: Ledger) -> None:
    """Though the newer one has long ended; the state that it would bring is a past one."""
    house = House.of(ledger, RULE)
    send(house, 2, "a", "b")
    house.work()
    late = send(house, 1, "b")
    assert house.plans() == ["succeeded", "superseded"]
    assert [line["sync"] for line in house.events("plan.superseded")] == [late]
    assert house.work() == []
    send(house, 0, "z")
    assert len(house.work()) == 2


def test_a_sync_with_a_time_to_come_is_as_old_as_its_notification(ledger: Ledger) -> None:
    """Else a wrong clock at Argo CD would make it the newest for years."""
    house = House.of(ledger, RULE)
    send(house, 3_000_000_000, "a")
    house.work()
    send(house, 2_000_000_000, "a")
    assert house.plans() == ["succeeded", "active"]


def test_what_waits_between_two_attempts_is_left_to_the_newer_plan(ledger: Ledger) -> None:
    """Nothing of it is under way, and in an hour of trying it would undo what the newer one did."""
    house = House.of(ledger, RULE)
    send(house, 1, "a")
    (run,) = house.claim()
    house.end(run, fails="503", temporary=True)
    send(house, 2, "a")
    assert texts(house.work()) == ["a of 2", "all of 2"]
    assert house.plans() == ["superseded", "succeeded"]
    house.pass_time(3600)
    assert house.claim() == []
    assert house.runs()[:2] == ["superseded", "superseded"]
    told = [line for line in house.events("run.superseded") if line["run"] == run.id]
    assert len(told) == 1


@pytest.mark.parametrize("names", [["a"], ["a", "b"]])
def test_an_attempt_that_fails_after_a_newer_plan_has_started_is_not_made_again(
    ledger: Ledger, names: list[str]
) -> None:
    """Also where all of the older plan was under way, so that nothing else was left to it."""
    house = House.of(ledger, RULE[: RULE.index("  - name: then")])
    send(house, 1, *names)
    runs = house.claim()
    send(house, 2, *names)
    house.end(*runs, fails="503", temporary=True)
    house.work()
    assert house.plans() == ["superseded", "succeeded"]
    assert {line["run"] for line in house.events("run.superseded")} == {run.id for run in runs}


def test_what_the_other_side_works_on_is_finished(ledger: Ledger) -> None:
    """A question that fails, or is lost, does not leave a Job alone that runs there."""
    house = House.of(ledger, RULE[: RULE.index("  - name: then")])
    send(house, 1, "a")
    (run,) = house.claim()
    house.answer(Outcome(OutcomeKind.PENDING, state={"job": "j"}, delay=1), run)
    house.pass_time(2)
    house.claim()
    house.pass_time(60)
    house.beat("w-2")
    send(house, 2, "a")
    again, newer = sorted(house.claim(), key=lambda one: one.id != run.id)
    house.end(newer)
    house.end(again, fails="503", temporary=True)
    assert house.plans() == ["active", "succeeded"]
    house.pass_time(60)
    house.work()
    assert house.plans() == ["succeeded"] * 2


def test_a_replay_is_tried_again_whatever_newer_plans_there_were(ledger: Ledger) -> None:
    """Somebody has asked for the older sync; a newer one that comes later still takes over."""
    house = House.of(ledger, RULE[: RULE.index("  - name: then")])
    old = send(house, 1, "a")
    send(house, 2, "a")
    house.work()
    house.replay(old)
    (run,) = house.claim()
    house.end(run, fails="503", temporary=True)
    assert house.plans()[-1] == "active"
    send(house, 3, "a")
    house.work()
    assert house.plans()[-2:] == ["superseded", "succeeded"]


def test_a_plan_of_which_everything_has_started_is_left_alone(ledger: Ledger) -> None:
    """It ends by itself: there is nothing to hand over."""
    house = House.of(ledger, RULE[: RULE.index("  - name: then")])
    send(house, 1, "a")
    (run,) = house.claim()
    send(house, 2, "a")
    house.end(run)
    house.work()
    assert house.plans() == ["succeeded"] * 2


def test_on_failure_that_has_begun_is_left_alone(ledger: Ledger) -> None:
    """A failure is told, whatever comes after it."""
    house = House.of(
        ledger, f"{RULE}  onFailure: [{{uses: log.message, with: {{text: failed}}}}]\n"
    )
    send(house, 1, "a")
    (run,) = house.claim()
    house.end(run, fails="gone")
    send(house, 2, "a")
    assert "failed" in texts(house.work())
    assert house.plans() == ["failed", "succeeded"]


def test_other_applications_senders_and_rules_have_nothing_to_do_with_it(ledger: Ledger) -> None:
    """Though their resources have the same names."""
    house = House.of(ledger, RULE + RULE.replace("purge", "other").replace("supersede", "parallel"))
    send(house, 1, "a")
    house.sync("a", at=2, application="blog")
    house.sync("a", at=3, sender="east")
    house.work()
    assert set(house.plans()) == {"succeeded"}


def test_plans_that_wait_are_superseded_too(ledger: Ledger) -> None:
    """For a place, for further syncs, or for an approval; the newer one takes its place."""
    house = House.of(ledger, f"{RULE}  concurrency: {{}}\n")
    send(house, 1, "x")
    for number in (2, 3, 4):
        send(house, number, "a")
    assert house.plans() == ["active", "superseded", "superseded", "waiting"]
    assert sorted(texts(house.work())) == ["a of 4", "all of 1", "all of 4", "x of 1"]


def test_a_held_plan_supersedes_nothing_until_it_is_approved(ledger: Ledger) -> None:
    """If nobody ever approves it, the older plan has still done its part."""
    house = House.of(ledger, f"{RULE}  limits: {{maxTargets: 2}}\n")
    send(house, 1, "a")
    (run,) = house.claim()
    send(house, 2, "a", "b", "c")
    assert house.plans() == ["active", "held"]
    house.approve(house.plans("id")[1])
    house.end(run)
    house.work()
    assert house.plans() == ["superseded", "succeeded"]


def test_a_held_plan_is_superseded_by_a_newer_one(ledger: Ledger) -> None:
    """Nobody needs to approve what has been done meanwhile."""
    house = House.of(ledger, f"{RULE}  limits: {{maxTargets: 2}}\n")
    send(house, 1, "a", "b", "c")
    house.use(RULE)
    send(house, 2, "a", "b", "c")
    assert house.plans() == ["superseded", "active"]
    assert house.runs()[:4] == ["superseded"] * 4


def test_a_plan_that_collects_is_superseded_by_one_of_a_changed_rule(ledger: Ledger) -> None:
    """Both collect for themselves; when the newer starts, it covers the older."""
    rule = f"{RULE}  debounce: {{window: 30s}}\n"
    house = House.of(ledger, rule)
    send(house, 1, "a")
    house.pass_time(10)
    house.use(rule.replace("30s", "5s"))
    send(house, 2, "a")
    house.pass_time(6)
    house.turn()
    assert house.plans() == ["superseded", "active"]
    house.work()
    house.pass_time(60)
    assert house.work() == []


def test_a_plan_that_was_superseded_leaves_its_place_to_the_next(ledger: Ledger) -> None:
    """With nothing of it started, its end is not waited for."""
    house = House.of(ledger, f"{RULE}  concurrency: {{}}\n")
    send(house, 1, "a")
    send(house, 2, "a")
    assert house.plans() == ["active", "waiting"]
    house.turn()
    assert house.plans() == ["superseded", "active"]
    assert texts(house.work()) == ["a of 2", "all of 2"]


def test_a_replay_is_not_superseded_by_what_was_there_before(ledger: Ledger) -> None:
    """Who asks for an older sync means it; a sync that comes later may take it over."""
    house = House.of(ledger, RULE)
    old = send(house, 1, "a")
    house.work()
    send(house, 2, "a")
    house.work()
    house.replay(old)
    assert texts(house.work()) == ["a of 1", "all of 1"]
    house.replay(old)
    send(house, 3, "a")
    house.work()
    assert house.plans() == ["succeeded", "succeeded", "succeeded", "superseded", "succeeded"]


def test_what_is_retried_and_waits_for_a_place_is_superseded(ledger: Ledger) -> None:
    """Its attempts are past; nothing of it is under way."""
    house = House.of(ledger, f"{RULE}  concurrency: {{}}\n")
    send(house, 1, "a")
    house.end(*house.claim(), fails="gone")
    send(house, 2, "x")
    (failed,) = house.query("SELECT id FROM runs WHERE state = 'failed'")
    house.retry(failed)
    assert house.plans() == ["waiting", "active"]
    send(house, 3, "a")
    house.work()
    assert house.plans() == ["superseded", "succeeded", "succeeded"]
    assert set(house.runs()) == {"superseded", "succeeded"}


def test_in_a_queue_plans_run_one_after_another(ledger: Ledger) -> None:
    """In the order in which they were planned, whole plans, of one application."""
    house = House.of(ledger, QUEUE)
    house.plan([house.store("a", at=n, message=str(n)) for n in (1, 2, 3)])
    house.sync("a", at=4, message="4", application="blog")
    assert sorted(house.plans()) == ["active", "active", "waiting", "waiting"]
    done = texts(house.work())
    assert [text for text in done if not text.endswith("4")] == [
        "a of 1", "all of 1", "a of 2", "all of 2", "a of 3", "all of 3"
    ]  # fmt: skip
    assert set(house.plans()) == {"succeeded"}


def test_a_plan_that_ends_at_once_frees_its_place_within_the_turn(ledger: Ledger) -> None:
    """One that only observes takes no place from those that come with it."""
    house = House.of(ledger, f"{QUEUE}  mode: observe\n")
    house.plan([house.store("a", at=n) for n in (1, 2)])
    assert house.plans() == ["succeeded"] * 2


def test_what_may_be_superseded_is_found_by_indexes(file_ledger: SqliteLedger) -> None:
    """However long the history of an application is, its open plans are few."""
    house = House.of(file_ledger, RULE)
    states = "state IN ('waiting', 'active') AND id != 'p'"
    statements = {
        "plans_open_of_series": f"series = 'x' AND {states} AND sync_finished_at <= 5 "
        "AND ended_at IS NULL ORDER BY id",
        "plans_of_series": f"series = 'x' AND {states} AND sync_finished_at >= 5 "
        "ORDER BY sync_finished_at DESC",
    }
    for index, condition in statements.items():
        plan = house.query(f"EXPLAIN QUERY PLAN SELECT * FROM plans WHERE {condition}")
        assert f"USING INDEX {index} " in plan[0][-1], plan


ARRIVALS = st.permutations(range(6)).flatmap(
    lambda order: st.tuples(
        st.just(order),
        st.lists(
            st.sets(st.sampled_from("abc"), min_size=1), min_size=len(order), max_size=len(order)
        ),
        st.lists(st.integers(0, 2), min_size=len(order), max_size=len(order)),
    )
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(arrivals=ARRIVALS, queued=st.booleans())
def test_the_newest_that_covers_a_resource_always_runs_and_everything_ends(
    tmp_path_factory: pytest.TempPathFactory,
    migrated: Path,
    arrivals: tuple[list[int], list[set[str]], list[int]],
    queued: bool,
) -> None:
    """Whatever the order in which syncs arrive, and whatever is under way meanwhile."""
    order, names, pace = arrivals
    folder = tmp_path_factory.mktemp("ledger")
    ledger = open_ledger(Path(shutil.copy(migrated, folder / "ledger.db")))
    house = House.of(ledger, RULE + ("  concurrency: {}\n" if queued else ""))
    done: list[str] = []
    for finished, wanted, free in zip(order, names, pace, strict=True):
        send(house, finished, *sorted(wanted))
        runs = house.claim(free=free)
        house.end(*runs)
        done += texts(runs)
    done += texts(house.work())
    wanted_of = dict(zip(order, names, strict=True))
    for number, resources in wanted_of.items():
        newer = [wanted_of[other] for other in wanted_of if other > number]
        if not any(resources <= other for other in newer):
            assert {f"{name} of {number}" for name in resources} <= set(done)
    assert set(house.plans()) <= {"succeeded", "superseded"}
    assert set(house.runs()) <= {"succeeded", "superseded"}
    assert all(len(set(group)) == 1 for _, group in itertools.groupby(house.query(
        "SELECT state FROM plans WHERE newer_plan IS NOT NULL")))  # fmt: skip
    ledger.close()
