"""How the whole is, out of the ledger."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from desks import ANN, HOLDING, desk, failed, house_of, only, put_in_force, refuse_files
from house import House
from sqlalchemy import event

from receiver.core.logs import configure_logs
from receiver.dispatcher import outage
from receiver.dispatcher.outage import Outage
from receiver.dispatcher.rule_sets import Reload, store_reload
from receiver.ledger import tables
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.engine.sqlite import SqliteLedger
from receiver.ledger.inbox.deliveries import Arrival
from receiver.ledger.inbox.group_commit import IntakeWriter
from receiver.ledger.queries import overview
from receiver.ledger.queries.overview_rows import ConnectionSeen, Overview
from receiver.ledger.queries.reader import Reader
from receiver.ledger.queue.heartbeats import DispatcherHeartbeat, write_heartbeat
from receiver.ledger.queue.pauses import Scope

SMALL = {"key_values", "pauses"}
"""Tables that have a row for each name that somebody gave."""


@pytest.fixture
def house(ledger: Ledger) -> House:
    return house_of(ledger, HOLDING)


def read(house: House) -> Overview:
    return Reader(house.ledger).overview()[0]


def seen(house: House) -> ConnectionSeen:
    return only(Reader(house.ledger).overview()[1])


def test_an_empty_ledger_has_nothing_to_tell(house: House) -> None:
    """All groups are there, with nothing in them."""
    found = read(house)
    nothing = {"count": 0, "oldest": None, "madeAt": None}
    assert set(found["plans"]) == {
        "waiting", "collecting", "held", "gated", "active", "awaiting",
    }  # fmt: skip
    groups = [*found["plans"].values(), *found["runs"].values(), *found["syncs"].values()]
    assert groups == [nothing] * len(groups)
    assert (found["oldestDue"], found["handlers"], found["senders"]) == (None, [], [])
    assert found["rules"]["files"] == []


def test_what_is_open_is_counted_by_state_with_the_oldest(house: House) -> None:
    """Plans that are held, runs that are held, what is due, and what nobody has planned."""
    house.sync("b1", "b2")
    house.sync("b1", "b2", at=1)
    house.sync("c1", at=2)
    house.sync("a1", at=3)
    house.turn()
    new = house.store("a2", at=4)
    found = read(house)
    held = found["plans"]["held"]
    assert (held["count"], held["oldest"]) == (2, house.plans("id")[0])
    made = datetime.fromisoformat(str(held["madeAt"]))
    assert abs((datetime.now(UTC) - made).total_seconds()) < 60
    counts = {state: group["count"] for state, group in found["runs"].items() if group["count"]}
    assert counts == {"held": 1, "due": 1, "waiting": 4}
    assert found["syncs"]["new"]["oldest"] == new
    due = found["oldestDue"]
    assert due
    assert (due["rule"], due["handler"]) == ("call", "log.message")


@pytest.mark.parametrize(("scope", "name"), [(Scope.ALL, ""), (Scope.RULE, "call")])
def test_what_is_paused_is_not_due(house: House, scope: Scope, name: str) -> None:
    """It is told as paused, by whom and why."""
    house.sync("a")
    house.turn()
    desk(house).pause(ANN, scope, name)
    found = read(house)
    assert found["oldestDue"] is None
    assert [(one["by"], one["reason"]) for one in found["pauses"]] == [("ann", "mended")]


def test_a_handler_fails_for_an_hour_or_until_its_runs_are_retried(house: House) -> None:
    """With the newest reason; what is tried again by itself is counted apart."""
    failed(house, "a1")
    house.sync("a2", at=1)
    house.end(*house.claim(), fails="answered 503", temporary=True)
    one = only(read(house)["handlers"])
    assert (one["handler"], one["failed"], one["retrying"]) == ("log.message", 1, 1)
    assert one["reason"] == "answered 404"
    run = str(one["run"])
    house.pass_time(3700)
    assert only(read(house)["handlers"])["failed"] == 0
    house.pass_time(-3700)
    house.retry(run)
    assert only(read(house)["handlers"])["failed"] == 0


def test_rules_are_refused_since_the_first_refusal(house: House) -> None:
    """Another mistake, or another start, is not a new one; what is in force stays told."""
    with house.ledger.write() as connection:
        store_reload(connection, house.ledger.now(connection), Reload(house.planner))
    assert read(house)["rules"]["files"] == [
        name for name, _ in house.planner.rule_set.files
    ]  # fmt: skip
    refuse_files(house, "r.yaml:1: no")
    first = read(house)["rules"]
    house.pass_time(60)
    refuse_files(house, "r.yaml:2: no")
    again = read(house)["rules"]
    assert (first["refused"], again["error"]) == (True, "r.yaml:2: no")
    assert first.get("refusedAt")
    assert first.get("refusedAt") == again.get("refusedAt")
    assert again["digest"] == house.planner.rule_set.digest


def refuse(house: House, sender: str, why: str) -> None:
    writer = IntakeWriter(house.ledger, lambda _at, _events: None)
    writer.start()
    try:
        writer.submit(Arrival(sender, "sync", b"?", datetime.now(UTC), None, refusal=why))
    finally:
        writer.stop()


def test_each_sender_has_its_last_notification_and_what_was_refused_since(house: House) -> None:
    """What was understood later ends it; so does an hour."""
    refuse(house, "argocd", "older")
    house.store("a")
    refuse(house, "other", "not_json")
    refuse(house, "other", "too_deep")
    known, other = read(house)["senders"]
    assert (known["sender"], known["refused"], known["reason"]) == ("argocd", 0, "")
    assert known["lastAt"]
    assert other == {"sender": "other", "lastAt": None, "refused": 2, "reason": "too_deep"}
    house.pass_time(3700)
    assert [one["refused"] for one in read(house)["senders"]] == [0, 0]


class _Named:
    """The name of a connection, which is all that is asked for here."""

    name = "Argo CD of the test"


def outage_of(house: House) -> Outage:
    log = configure_logs("json")
    return Outage.of_connection("argocd", _Named(), "watch Applications", house.ledger, log)  # type: ignore[arg-type]  # nothing is asked of it


def test_a_connection_that_fails_is_told_with_the_reason_and_since_when(house: House) -> None:
    """Until it works again, also in a process that did not see it fail."""
    first = outage_of(house)
    first.over()
    assert (seen(house)["works"], seen(house)["connection"]) == (True, "Argo CD of the test")
    first.failed("nobody there")
    since = seen(house)["since"]
    house.pass_time(30)
    first.failed("401")
    found = seen(house)
    assert (found["works"], found["reason"], found["since"]) == (False, "401", since)
    assert len(house.events("connection.failed")) == 1
    outage_of(house).over()
    assert (seen(house)["works"], seen(house)["reason"]) == (True, "")
    assert len(house.events("connection.restored")) == 1


def test_a_connection_that_fails_is_named_once(house: House) -> None:
    """Its name stands beside the reason, which begins with it."""
    outage_of(house).failed("Argo CD of the test: nobody there")
    assert [event["reason"] for event in house.events("connection.failed")] == ["nobody there"]


def test_what_nobody_tries_any_more_is_marked_as_old(house: House) -> None:
    """That it failed an hour ago says nothing of now."""
    outage_of(house).failed("nobody there")
    assert seen(house)["tried"]
    house.pass_time(3600)
    assert not seen(house)["tried"]


def test_a_connection_that_works_is_written_down_each_minute_alone(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much is read over it."""
    made = outage_of(house)
    made.over()
    before = seen(house)["seenAt"]
    made.over()
    assert seen(house)["seenAt"] == before
    monkeypatch.setattr(outage, "SEEN_EVERY", -1.0)
    made.over()
    assert seen(house)["since"] == before


@contextmanager
def statements(ledger: SqliteLedger) -> Iterator[list[tuple[str, Any]]]:
    """The statements of the block, with their values."""
    found: list[tuple[str, Any]] = []

    def note(_conn: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        found.append((statement, values))

    event.listen(ledger.engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(ledger.engine, "before_cursor_execute", note)


def test_it_reads_indexes_alone(file_ledger: SqliteLedger) -> None:
    """Its cost does not grow with the history: no statement of it scans a large table."""
    house = house_of(file_ledger, HOLDING)
    failed(house, "a")
    put_in_force(house)
    with statements(file_ledger) as made:
        Reader(file_ledger).overview()
    with file_ledger.read() as connection:
        steps = [
            row[-1]
            for statement, values in made
            if statement.lstrip().startswith(("SELECT", "WITH"))
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
        ]
    assert any("runs_failed" in one for one in steps)
    whole = {one.split()[1] for one in steps if re.match(r"SCAN \w+(?!.*INDEX)", one)}
    assert whole & set(tables.metadata.tables) <= SMALL


def test_what_has_ended_is_read_back_so_far_and_no_further(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each list that could be long has a bound; within it all is right."""
    for number in range(3):
        failed(house, f"a{number}", at=number)
    assert only(read(house)["handlers"])["failed"] == 3
    monkeypatch.setattr(overview, "MOST_RUNS", 2)
    monkeypatch.setattr(overview, "MOST_DELIVERIES", 0)
    assert only(read(house)["handlers"])["failed"] == 2
    assert read(house)["senders"] == []


def test_dispatchers_are_alive_by_their_signs_of_life(house: House) -> None:
    """As the probes have it."""
    assert read(house)["dispatcher"]["alive"] == 0
    with house.ledger.write() as connection:
        write_heartbeat(connection, "w-1", DispatcherHeartbeat(house.ledger.now(connection)))
    assert read(house)["dispatcher"]["alive"] == 1
