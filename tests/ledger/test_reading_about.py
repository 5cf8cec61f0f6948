"""The trail of a sync, a plan and a run: stories and filters tell the same lines."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from house import NOON, House
from sqlalchemy import event, insert
from stories import plan_of, run_of, story_of

from receiver.ledger import tables
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.engine.sqlite import SqliteLedger
from receiver.ledger.inbox.hook_messages import HookMessages, Message
from receiver.ledger.queries import trail
from receiver.ledger.queries.reader import EventFilters, Filters, Reader
from receiver.ledger.queries.rows import Event, SyncDetails

RULES = """
- name: gather
  match: {resources: [{kind: ConfigMap}]}
  debounce: {window: 30s, maxWait: 2m}
  actions: [{uses: log.message, target: batch, with: {text: gathered}}]
- name: tell
  match: {resources: [{kind: ConfigMap, name: a}]}
  actions: [{uses: log.message, with: {text: told}}]
"""


@pytest.fixture
def house(ledger: Ledger) -> House:
    """A house at noon, when its syncs are."""
    house = House.of(ledger, RULES)
    house.pass_time((NOON - datetime.now(UTC)).total_seconds())
    return house


def gathered(house: House) -> list[str]:
    """Three syncs, five seconds after one another, that one plan collects."""
    syncs = []
    for number, name in enumerate("abc"):
        syncs.append(house.sync(name, at=5 * number))
        house.pass_time(5)
    house.pass_time(31)
    house.work()
    return syncs


def names(events: Sequence[Event], *wanted: str) -> list[str]:
    return [line["event"] for line in events if line["event"].startswith(wanted)]


def story(house: House, sync: str) -> SyncDetails:
    told = story_of(Reader(house.ledger), sync)
    assert told
    numbers = [line["seq"] for line in told["events"]]
    assert numbers == sorted(set(numbers))
    return told


def filtered(house: House, **wanted: Any) -> list[Event]:
    return Reader(house.ledger).trail(EventFilters(**wanted), after=0, limit=500).events


def test_each_sync_tells_how_the_plan_that_collected_it_came_to_be(house: House) -> None:
    """From the first that began it to its end, whichever of its syncs was the newest."""
    syncs = gathered(house)
    for sync in syncs:
        told = story(house, sync)
        [plan] = [plan for plan in told["plans"] if plan["rule"] == "gather"]
        lines = [line for line in told["events"] if line.get("plan") == plan["id"]]
        assert names(lines, "plan.", "run.") == [
            "plan.collecting", "plan.joined", "plan.joined", "plan.succeeded",
        ]  # fmt: skip
        accepted = [line["sync"] for line in told["events"] if "accepted" in line["event"]]
        assert accepted == [sync]


def test_a_plan_tells_of_each_sync_that_it_collected(house: House) -> None:
    """The lines that name an older one are its own as well."""
    syncs = gathered(house)
    [plan] = house.query("SELECT id FROM plans WHERE rule = 'gather'")
    told = plan_of(Reader(house.ledger), plan)
    assert told
    matched = [line["sync"] for line in told["events"] if line["event"] == "rule.matched"]
    assert matched == syncs
    assert told["syncs"] == syncs


def test_a_replay_follows_what_was_done_before(house: House) -> None:
    """First the plans of then with their ends, then who asked, then the plans of today."""
    sync = house.sync("a")
    house.pass_time(31)
    house.work()
    house.replay(sync)
    house.pass_time(31)
    house.work()
    told = story(house, sync)
    assert [plan["rule"] for plan in told["plans"]].count("tell") == 2
    once = ["rule.matched", "rule.matched", "plan.succeeded", "plan.succeeded"]
    told_in_order = names(told["events"], "sync.", "rule.matched", "plan.succeeded")
    assert told_in_order == ["sync.planned", *once, "sync.replay_asked", "sync.replayed", *once]


def test_the_plans_of_a_sync_stand_in_the_order_of_time(house: House) -> None:
    """The one that collected it for a newer sync comes before those of its replay."""
    first, *_ = gathered(house)
    house.replay(first)
    syncs = [plan["syncs"] for plan in story(house, first)["plans"] if plan["rule"] == "gather"]
    assert [len(of_plan) for of_plan in syncs] == [3, 1]
    plans = [plan["id"] for plan in story(house, first)["plans"]]
    assert plans == sorted(plans)


def test_the_words_of_hooks_stand_among_the_events_in_the_order_of_time(house: House) -> None:
    """What PreSync said before the notification, what came late after what was done by then."""
    said = HookMessages(house.ledger, lambda _at, _events: None)
    said.store(Message("hooks", "shop", "before", {"hook": "PreSync"}))
    sync = house.sync("a")
    house.work()
    late = HookMessages(house.ledger, lambda _at, _events: None)
    late.store(Message("hooks", "argocd/shop", "after", {"hook": "PostSync"}))
    late.store(Message("hooks", "blog", "of another one", {}))
    events = story(house, sync)["events"]
    words = [(line["event"], line.get("text")) for line in events]
    assert words[:2] == [("message.received", "before"), ("notification.accepted", None)]
    assert words[-1] == ("message.received", "after")
    assert names(events, "message", "attempt") == [
        "message.received", "attempt.started", "attempt.succeeded", "message.received",
    ]  # fmt: skip


def test_the_trail_by_a_sync_a_plan_or_a_run_is_their_story(house: House) -> None:
    """Both are made of the same condition."""
    reader, syncs = Reader(house.ledger), gathered(house)
    for sync in syncs:
        assert filtered(house, sync=sync) == story(house, sync)["events"]
    for plan in reader.plans(limit=10):
        told = plan_of(reader, plan["id"])
        assert told
        assert filtered(house, plan=plan["id"]) == told["events"]
    for run in reader.runs(limit=10):
        whole = run_of(reader, run["id"])
        assert whole
        assert filtered(house, run=run["id"], sync=run["sync"]) == whole["events"]
        assert names(whole["events"], "attempt") == ["attempt.started", "attempt.succeeded"]


@pytest.mark.parametrize("wanted", [{"sync": "s-1"}, {"plan": "p-1"}, {"run": "r-1"}])
def test_the_trail_of_what_is_unknown_is_empty(house: House, wanted: dict[str, str]) -> None:
    """It is a filter; the stories say that there is none."""
    gathered(house)
    assert filtered(house, **wanted) == []


def test_lists_by_a_sync_have_the_plan_that_collected_it(house: House) -> None:
    """And its runs, which belong to the newest one."""
    reader, syncs = Reader(house.ledger), gathered(house)
    for sync in syncs:
        for read in (reader.plans, reader.runs):
            rules = [row["rule"] for row in read(Filters(sync=sync), limit=10)]
            assert sorted(rules) == (["gather", "tell"] if sync == syncs[0] else ["gather"])


def test_the_trail_of_a_sync_is_found_however_much_lies_before_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one page: an index leads to it, so the lines of others are not looked at."""
    monkeypatch.setattr(trail, "SCANNED", 10)
    others = [{"at": 0, "name": "x.y", "data": "{}"} for _ in range(100)]
    with house.ledger.write() as connection:
        connection.execute(insert(tables.audit_events), others)
    sync = house.sync("a")
    for wanted in (EventFilters(sync=sync), EventFilters(plan=house.plans("id")[0])):
        page = Reader(house.ledger).trail(wanted, after=0, limit=500)
        assert (bool(page.events), page.more) == (True, False)


@pytest.mark.parametrize(
    "wanted",
    [
        EventFilters(),
        EventFilters(sync="SYNC"),
        EventFilters(plan="PLAN"),
        EventFilters(run="RUN"),
        EventFilters(sync="SYNC", event="run.*", rule="gather"),
        EventFilters(since=1),
        EventFilters(application="shop", since=1),
    ],
    ids=str,
)
def test_no_page_of_the_trail_reads_the_whole_table(
    file_ledger: SqliteLedger, wanted: EventFilters
) -> None:
    """Every statement goes by an index or by the order of the lines."""
    house = House.of(file_ledger, RULES)
    gathered(house)
    ids = {
        "SYNC": house.query("SELECT id FROM syncs ORDER BY id")[0],
        "PLAN": house.query("SELECT id FROM plans WHERE rule = 'gather'")[0],
        "RUN": house.runs("id")[0],
    }
    given = {name: ids.get(getattr(wanted, name), getattr(wanted, name)) for name in FIELDS}
    seen: list[tuple[str, Any]] = []
    engine = house.ledger.engine
    event.listen(engine, "before_cursor_execute", lambda *all_of: seen.append(all_of[2:4]))
    Reader(house.ledger).trail(EventFilters(**given), after=0, limit=50)
    reads = [one for one in seen if one[0].startswith("SELECT")]
    with house.ledger.read() as connection:
        steps = [
            row[3]
            for statement, values in reads
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
        ]
    assert any("audit_events" in step for step in steps)
    assert [step for step in steps if step.startswith("SCAN audit_events")] == []


FIELDS = ("sync", "plan", "run", "rule", "event", "application", "since")
