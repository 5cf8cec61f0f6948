"""What the ledger deletes, what it keeps, and what a slice costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from house import NOON, House
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from notifications import resource
from sqlalchemy import event, insert, text, update
from stories import story_of

from receiver.core.model import Event
from receiver.ledger import tables
from receiver.ledger.audit.key_values import RULES, put_value, store_rule_set
from receiver.ledger.audit.trail import append_events
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.engine.open import open_ledger
from receiver.ledger.engine.sqlite import SqliteLedger
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.inbox.deliveries import Arrival
from receiver.ledger.inbox.group_commit import IntakeWriter
from receiver.ledger.inbox.hook_messages import HookMessages, Message
from receiver.ledger.plans.custom_rules import (
    CustomRule,
    delete_custom_rule,
    store_custom_rule,
)
from receiver.ledger.plans.poison_guard import record_start
from receiver.ledger.queries.reader import Reader
from receiver.ledger.retention.job import Preview, RetentionJob
from receiver.ledger.retention.policy import Policy

DAY = 86400.0
MONTH = Policy(30 * DAY, 1_000_000, DAY)

RULES_OF_ALL = """
- name: tell
  match: {resources: [{kind: ConfigMap}]}
  actions: [{uses: log.message, with: {text: "${{ resource.name }}"}}]
"""
COLLECTING = RULES_OF_ALL.replace("actions:", "debounce: {window: 30s, maxWait: 5m}\n  actions:")
HOLDING = RULES_OF_ALL.replace("actions:", "limits: {maxTargets: 1, otherwise: hold}\n  actions:")

ORPHANS = (
    "SELECT COUNT(sync_id) FROM deliveries WHERE sync_id NOT IN (SELECT id FROM syncs)",
    "SELECT COUNT(*) FROM syncs WHERE delivery_id NOT IN (SELECT id FROM deliveries)",
    "SELECT COUNT(*) FROM plans WHERE sync_id NOT IN (SELECT id FROM syncs)",
    "SELECT COUNT(*) FROM replays WHERE sync_id NOT IN (SELECT id FROM syncs)",
    "SELECT COUNT(*) FROM plan_syncs WHERE sync_id NOT IN (SELECT id FROM syncs)",
    "SELECT COUNT(*) FROM plan_syncs WHERE plan_id NOT IN (SELECT id FROM plans)",
    "SELECT COUNT(*) FROM runs WHERE plan_id NOT IN (SELECT id FROM plans)",
    "SELECT COUNT(*) FROM attempts WHERE run_id NOT IN (SELECT id FROM runs)",
    "SELECT COUNT(sync_id) FROM audit_events WHERE sync_id NOT IN (SELECT id FROM syncs)",
    "SELECT COUNT(*) FROM messages WHERE seq NOT IN (SELECT seq FROM audit_events)",
)


def just_now() -> float:
    """The present, in seconds after the house's noon."""
    return (datetime.now(UTC) - NOON).total_seconds()


def prune(ledger: Ledger, policy: Policy = MONTH) -> Counter[str]:
    """Go through the ledger once; what was deleted, by table."""
    this = RetentionJob(ledger, policy)
    done: Counter[str] = sum(this.slices(), Counter())
    this.record("test")
    return done


def refuse(ledger: Ledger) -> None:
    """Store a notification that could not be understood."""
    writer = IntakeWriter(ledger, lambda _at, _events: None)
    writer.start()
    try:
        arrival = Arrival("argocd", "sync", b"{", datetime.now(UTC), None, refusal="not_json")
        writer.submit(arrival)
    finally:
        writer.stop()


def rows(house: House, table: str) -> int:
    return int(house.query(f"SELECT COUNT(*) FROM {table}")[0])


def orphans(house: House) -> list[str]:
    return [query for query in ORPHANS if house.query(query) != [0]]


def test_what_has_ended_goes_with_all_that_belongs_to_it(ledger: Ledger) -> None:
    """After its time, and not before; the trail says how much it was."""
    house = House.of(ledger, RULES_OF_ALL)
    sync = house.sync("a", "b", at=just_now())
    house.work()
    house.pass_time(29 * DAY)
    kept = house.sync("c", at=just_now())
    house.work()
    assert prune(house.ledger) == Counter()
    house.pass_time(2 * DAY)
    with house.ledger.write() as connection:
        connection.execute(text("UPDATE syncs SET received_at = received_at + :d WHERE id = :s"),
                           {"d": int(29 * DAY * 1000), "s": kept})  # fmt: skip
        connection.execute(text("UPDATE audit_events SET at = :n"),
                           {"n": house.ledger.now(connection)})  # fmt: skip
    done = prune(house.ledger)
    lines = done.pop("audit_events")
    assert done == {"syncs": 1, "deliveries": 1, "plans": 1, "runs": 2, "attempts": 2}
    assert lines > 5
    told = house.events("ledger.pruned")
    assert [(one["syncs"], one["runs"], one["by"]) for one in told] == [(1, 2, "test")]
    assert story_of(Reader(house.ledger), sync) is None
    assert [one["id"] for one in Reader(house.ledger).syncs(limit=9)] == [kept]
    assert orphans(house) == []


def test_what_is_remembered_of_an_application_goes_with_its_last_sync(ledger: Ledger) -> None:
    """And stays as long as there is one of the same sender."""
    house = House.of(ledger, RULES_OF_ALL.replace("{kind", "{imageChanged: true, kind"))
    entry = resource("a", images=["a:1"])
    house.sync(entry, at=just_now(), sender="east")
    house.sync("b", at=just_now(), phase="Failed")
    house.work()
    house.pass_time(31 * DAY)
    house.store(entry, at=just_now())
    assert rows(house, "memories") == 2
    assert prune(house.ledger)["syncs"] == 2
    assert house.query("SELECT sender FROM memories") == ["argocd"]


def test_a_round_that_deletes_nothing_says_nothing(file_ledger: SqliteLedger) -> None:
    """And takes no lock: somebody else may hold it all the time."""
    house = House.of(file_ledger, RULES_OF_ALL)
    house.sync("a", at=just_now())
    with file_ledger.write_lock:
        assert list(RetentionJob(house.ledger, MONTH).slices()) == []
        assert RetentionJob(house.ledger, MONTH).record("test") is None


def test_what_has_not_ended_stays_however_old_it_is(ledger: Ledger) -> None:
    """A plan that waits for an approval, a sync that nobody has planned, a run that is not due."""
    house = House.of(ledger, HOLDING)
    held = house.sync("a", "b", at=just_now())
    open_ = house.sync("c", at=just_now())
    new = house.store("d", at=just_now())
    house.pass_time(40 * DAY)
    assert prune(house.ledger)["syncs"] == 0
    assert set(house.query("SELECT id FROM syncs")) == {held, open_, new}


def test_a_plan_that_ended_late_keeps_its_sync_for_the_whole_time(ledger: Ledger) -> None:
    """Nobody loses a story a minute after its end."""
    house = House.of(ledger, HOLDING)
    house.sync("a", "b", at=just_now())
    house.pass_time(40 * DAY)
    house.approve(house.plans("id")[0])
    house.work()
    assert prune(house.ledger)["syncs"] == 0
    house.pass_time(31 * DAY)
    refuse(house.ledger)
    assert prune(house.ledger)["syncs"] == 1


def test_dead_letters_go_by_the_same_age(ledger: Ledger) -> None:
    """A failed run is kept to be retried, and not for ever."""
    house = House.of(ledger, RULES_OF_ALL)
    house.sync("a", at=just_now())
    house.end(*house.claim(), fails="no")
    house.pass_time(29 * DAY)
    refuse(house.ledger)
    prune(house.ledger)
    assert house.runs() == ["failed"]
    house.pass_time(2 * DAY)
    prune(house.ledger)
    assert house.runs() == []


def test_a_sync_that_is_to_be_planned_anew_stays(ledger: Ledger) -> None:
    """Until the replay that an operator asked for has begun."""
    house = House.of(ledger, RULES_OF_ALL)
    sync = house.sync("a", at=just_now())
    house.work()
    refuse(ledger)
    asked = {"id": "y-1", "sync_id": sync, "rule": "", "operator": "ann", "reason": "",
             "with_rules_in_force": False, "asked_again": False, "asked_at": 0, "state": "asked",
             "refusal": ""}  # fmt: skip
    with ledger.write() as connection:
        connection.execute(insert(tables.replays), asked)
    house.pass_time(31 * DAY)
    assert prune(house.ledger)["syncs"] == 0
    with ledger.write() as connection:
        connection.execute(update(tables.replays).values(state="planned"))
    done = prune(house.ledger)
    assert (done["syncs"], done["replays"]) == (1, 1)


def test_a_sync_outlives_the_plan_that_collected_it(ledger: Ledger) -> None:
    """The plan goes with its newest sync, whichever of them is looked at first."""
    house = House.of(ledger, COLLECTING)
    at = just_now()
    for number in range(3):
        house.sync(f"c{number}", at=at + number)
    house.pass_time(60)
    house.work()
    house.pass_time(31 * DAY)
    refuse(house.ledger)
    assert prune(house.ledger)["syncs"] == 1
    assert (orphans(house), rows(house, "plans"), rows(house, "plan_syncs")) == ([], 0, 0)
    assert prune(house.ledger)["syncs"] == 2


def test_of_too_many_syncs_the_oldest_go_before_their_time(ledger: Ledger) -> None:
    """As many as there are too many, once they are too old to be acted upon."""
    house = House.of(ledger, RULES_OF_ALL)
    syncs = [house.sync(f"c{number}", at=just_now()) for number in range(5)]
    house.work()
    few = replace(MONTH, keep_syncs=3)
    assert prune(house.ledger, few)["syncs"] == 0
    house.pass_time(2 * DAY)
    assert list(RetentionJob(house.ledger, few).preview())[-1].goes["syncs"] == 2
    assert prune(house.ledger, few)["syncs"] == 2
    assert house.query("SELECT id FROM syncs ORDER BY id") == syncs[2:]
    assert prune(house.ledger, few)["syncs"] == 0


def test_a_duplicate_is_known_until_it_is_too_old_to_be_acted_upon(ledger: Ledger) -> None:
    """Also if there are too many syncs, and if Argo CD's clock is ahead of ours."""
    house = House.of(ledger, RULES_OF_ALL)
    ahead = just_now() + 20 * DAY
    sync = house.sync("a", at=ahead)
    house.work()
    refuse(house.ledger)
    house.pass_time(20.5 * DAY)
    assert prune(house.ledger, Policy(2 * DAY, 1, DAY))["syncs"] == 0
    assert house.store("a", at=ahead) == sync
    house.pass_time(2 * DAY)
    refuse(house.ledger)
    assert prune(house.ledger, Policy(2 * DAY, 1, DAY))["syncs"] == 1
    assert house.store("a", at=ahead) not in {sync, ""}


def test_refused_notifications_and_lines_without_a_sync_go_by_age(ledger: Ledger) -> None:
    """So do the messages of hooks, which are lines of the trail."""
    house = House.of(ledger, RULES_OF_ALL)
    refuse(ledger)
    HookMessages(ledger, lambda _at, _events: None).store(Message("ci", "shop", "migrated", {}))
    house.pass_time(31 * DAY)
    with house.ledger.write() as connection:
        now = house.ledger.now(connection)
        append_events(connection, now, [Event("rules.loaded", {"rules": []})])
    goes = list(RetentionJob(house.ledger, MONTH).preview())[-1].goes
    assert goes == {"syncs": 0, "refused": 1, "events": 2}
    assert prune(house.ledger) == {"deliveries": 1, "messages": 1, "audit_events": 2}
    assert house.query("SELECT name FROM audit_events ORDER BY seq") == [
        "rules.loaded",
        "ledger.pruned",
    ]


def test_the_newest_line_stays_so_that_no_number_is_used_twice(ledger: Ledger) -> None:
    """Who follows the trail goes on after a number."""
    house = House.of(ledger, RULES_OF_ALL)
    house.sync("a", at=just_now())
    house.work()
    last = house.query("SELECT MAX(seq) FROM audit_events")
    house.pass_time(40 * DAY)
    prune(house.ledger)
    assert house.query("SELECT MAX(seq) FROM audit_events") == last
    refuse(house.ledger)
    prune(house.ledger)
    assert rows(house, "syncs") == 0
    assert house.query("SELECT MAX(seq) FROM audit_events")[0] > last[0]


def test_rule_sets_go_when_nothing_refers_to_them(ledger: Ledger) -> None:
    """The one in force stays, and all of them for an hour after a change."""
    house = House.of(ledger, RULES_OF_ALL)
    house.sync("a", at=just_now())
    used = house.query("SELECT rule_set FROM plans")[0]
    with ledger.write() as connection:
        now = ledger.now(connection)
        for digest in (used, "in force", "old"):
            store_rule_set(connection, now, digest, ())
        put_value(connection, RULES, {"digest": "in force", "loadedAt": now, "ok": True})
    house.pass_time(3000)
    assert prune(house.ledger)["rule_sets"] == 0
    house.pass_time(1000)
    assert prune(house.ledger)["rule_sets"] == 1
    assert set(house.query("SELECT digest FROM rule_sets")) == {used, "in force"}


def test_the_set_of_a_custom_rule_stays_while_it_is_in_force_and_an_hour_longer(
    ledger: Ledger,
) -> None:
    """A dispatcher may still plan by the one that was replaced just now."""
    house = House.of(ledger, RULES_OF_ALL)

    def change(write: Callable[[UnitOfWork], None]) -> None:
        with house.ledger.write() as connection:
            put_value(connection, RULES, {"digest": "files", "loadedAt": 1, "ok": True})
            for digest in ("first", "second"):
                store_rule_set(connection, 0, digest, ())
            write(uow := UnitOfWork(connection, house.ledger.now(connection)))
            uow.finish()

    def put(generation: int, digest: str) -> Callable[[UnitOfWork], None]:
        rule = CustomRule("shop", "a", "uid", generation, digest, True, "Ready", "")
        return lambda uow: store_custom_rule(uow, rule)

    def kept() -> set[str]:
        prune(house.ledger)
        return set(house.query("SELECT digest FROM rule_sets"))

    change(put(1, "first"))
    house.pass_time(2 * 3600)
    assert kept() == {"first"}
    change(put(2, "second"))
    assert kept() == {"first", "second"}
    house.pass_time(2 * 3600)
    assert kept() == {"second"}
    change(put(1, "first"))  # of a dispatcher that has not seen the newer version yet
    house.pass_time(2 * 3600)
    assert kept() == {"second"}
    change(lambda uow: delete_custom_rule(uow, ("shop", "a")))
    house.pass_time(2 * 3600)
    assert kept() == set()


def test_what_a_killed_round_deleted_is_told_by_the_next(ledger: Ledger) -> None:
    """It was counted in the transaction that deleted it."""
    house = House.of(ledger, RULES_OF_ALL)
    house.sync("a", at=just_now())
    house.work()
    refuse(ledger)
    house.pass_time(31 * DAY)
    next(RetentionJob(house.ledger, MONTH).slices())
    assert house.events("ledger.pruned") == []
    assert RetentionJob(house.ledger, MONTH).record("the next")
    assert [one["syncs"] for one in house.events("ledger.pruned")] == [1]


def test_a_sync_that_was_opened_again_meanwhile_stays(ledger: Ledger) -> None:
    """An operator retries a run between the look and the slice."""
    house = House.of(ledger, RULES_OF_ALL)
    house.sync("a", at=just_now())
    house.end(*house.claim(), fails="no")
    refuse(ledger)
    house.pass_time(31 * DAY)
    retried: list[str] = []

    @event.listens_for(house.ledger.engine, "begin")
    def retry(connection: Any) -> None:
        options = connection.get_execution_options()
        writes = not (options.get("postsync_read") or options.get("postgresql_readonly"))
        if writes and not retried:
            retried.append("once")
            connection.execute(update(tables.plans).values(state="active", ended_at=None))

    prune(house.ledger)
    assert (retried, rows(house, "syncs"), house.runs()) == (["once"], 1, ["failed"])


def test_the_ledger_is_free_between_two_slices(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The intake stores a notification there, at once."""
    monkeypatch.setattr("receiver.ledger.retention.policy.EXAMINED", 2)
    house = House.of(ledger, RULES_OF_ALL)
    for number in range(6):
        house.sync(f"c{number}", at=just_now())
    house.work()
    house.pass_time(31 * DAY)
    slices = 0
    for done in RetentionJob(house.ledger, MONTH).slices():
        assert 0 < done["syncs"] <= 2
        assert house.store(f"new{slices}", at=just_now())
        slices += 1
    assert (slices, rows(house, "syncs")) == (3, 3)


def test_a_slice_is_bounded_by_its_rows_too(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few large syncs are as much as many small ones."""
    monkeypatch.setattr("receiver.ledger.retention.policy.ROWS", 20)
    house = House.of(ledger, RULES_OF_ALL)
    for number in range(4):
        house.sync(*(f"c{number}-{n}" for n in range(5)), at=just_now())
    house.work()
    refuse(ledger)
    house.pass_time(31 * DAY)
    slices = RetentionJob(house.ledger, MONTH).slices()
    assert [done["syncs"] for done in slices if done["syncs"]] == [1, 1, 1, 1]


BOUNDED = (
    "USING INDEX deliveries_refused",
    "USING INDEX audit_events_alone",
    "(subquery-3)",
    "anon_1",
)
"""What is refused, and what belongs to no sync: of both a round leaves a fixed number at most."""

SMALL = {"rule_sets", "buckets", "lanes", "planning_attempts"}
"""Of an edit of the rules, of a host that is called, of a sync that is planned: a row each."""


def test_no_statement_reads_a_whole_table(file_ledger: SqliteLedger) -> None:
    """A slice costs the same whatever is stored; small tables may be read."""
    house = House.of(file_ledger, COLLECTING)
    house.sync("a", at=just_now())
    house.pass_time(40)
    house.work()
    refuse(file_ledger)
    with file_ledger.write() as connection:
        store_rule_set(connection, 0, "old", ())
        put_value(connection, RULES, {"digest": "x", "loadedAt": 1, "ok": True})
    HookMessages(file_ledger, lambda _at, _events: None).store(
        Message("ci", "shop", "migrated", {})
    )
    house.store("last", at=just_now())
    with file_ledger.write() as connection:
        record_start(connection, "w-1", ["s-gone"])
        connection.execute(insert(tables.buckets).values(lane="old", tokens=1.0, at=0))
        connection.execute(insert(tables.lanes).values(lane="old", blocked_until=0))
    house.pass_time(31 * DAY)
    said: list[tuple[str, Any]] = []

    @event.listens_for(house.ledger.engine, "before_cursor_execute")
    def note(_connection: Any, _cursor: Any, sql: str, values: Any, *_: Any) -> None:
        said.append((sql, values))

    prune(house.ledger)
    event.remove(house.ledger.engine, "before_cursor_execute", note)
    looked = [one for one in said if one[0].startswith(("SELECT", "DELETE"))]
    assert {one[0].split()[2] for one in looked if one[0].startswith("DELETE")} == {
        "attempts", "runs", "plan_syncs", "plans", "deliveries", "audit_events", "syncs",
        "replays", "messages", "rule_sets", "key_values", "memories",
        "buckets", "reaches", "lanes", "planning_attempts", "missed_operations", "field_values",
        "throttle_windows",
    }  # fmt: skip
    scans = [step for sql, values in looked for step in steps(house.ledger, sql, values)]
    assert {step.split()[1] for step in scans if not step.endswith(BOUNDED)} <= SMALL


def steps(ledger: Ledger, sql: str, values: Any) -> list[str]:
    """Return the scans of a statement; to take the last line of the trail is none."""
    with ledger.read() as connection:
        plan = [
            row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values)
        ]
    limited = "audit_events.seq DESC" in sql and plan == ["SCAN audit_events"]
    scans = [one for one in plan if one.startswith("SCAN") and one != "SCAN CONSTANT ROW"]
    return [] if limited else scans


@settings(
    max_examples=10,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["sync", "refuse", "work", "fail", "wait", "prune", "few"]),
            st.integers(1, 3),
        ),
        max_size=14,
    )
)
def test_whatever_happens_no_row_is_left_alone(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    """Every sync that is listed has its whole story, and nothing belongs to one that is gone."""
    with closing(open_ledger(tmp_path_factory.mktemp("ledger") / "ledger.db")) as ledger:
        _play(ledger, steps)


def _play(ledger: Ledger, steps: list[tuple[str, int]]) -> None:
    house = House.of(ledger, COLLECTING + HOLDING.replace("tell", "hold"))
    for number, (what, many) in enumerate(steps):
        if what == "sync":
            house.sync(*(f"c{n}" for n in range(many)), at=just_now() + number)
        elif what == "refuse":
            refuse(house.ledger)
        elif what == "work":
            house.work()
        elif what == "fail":
            house.end(*house.claim(), fails="no")
        elif what == "wait":
            house.pass_time(many * 12 * DAY)
        else:
            prune(house.ledger, replace(MONTH, keep_syncs=many) if what == "few" else MONTH)
    prune(house.ledger)
    assert orphans(house) == []
    reader = Reader(house.ledger)
    for row in reader.syncs(limit=100):
        story = story_of(reader, row["id"])
        assert story
        assert story["deliveries"]
        assert story["events"]


def test_a_preview_counts_and_deletes_nothing(ledger: Ledger) -> None:
    """It is what `prune` shows before it asks."""
    house = House.of(ledger, RULES_OF_ALL)
    house.sync("a", at=just_now())
    house.work()
    refuse(ledger)
    house.pass_time(31 * DAY)
    assert list(RetentionJob(house.ledger, MONTH).preview()) == [
        Preview({"syncs": 1, "refused": 1, "events": 1}, 1, 1)
    ]
    assert rows(house, "syncs") == 1
