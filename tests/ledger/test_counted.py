"""The numbers that the ledger gives to Prometheus."""

from __future__ import annotations

import re
from typing import Any

import pytest
from desks import ANN, HOLDING, desk, live_house_of
from house import House
from sqlalchemy import event, insert, select, text

from receiver.core.states import OPEN_PLANS
from receiver.ledger import tables
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.queries.reader import Reader
from receiver.ledger.queue.heartbeats import DispatcherHeartbeat, write_heartbeat
from receiver.ledger.queue.pauses import Scope

Key = tuple[str, ...]


@pytest.fixture
def house(ledger: Ledger) -> House:
    return live_house_of(ledger, HOLDING)


def read(house: House) -> dict[Key, float]:
    """All of them, by name and values of labels."""
    found = Reader(house.ledger).counters()
    assert len({(name, *sorted(labels.items())) for name, labels, _ in found}) == len(found)
    return {(name, *labels.values()): value for name, labels, value in found}


def test_what_is_held_is_counted_and_how_long_the_oldest_has_been(house: House) -> None:
    """Plans and runs alike, since they were held and not since they were made."""
    assert read(house)["oldest_held_seconds",] == 0
    house.sync("b1", "b2")
    house.work()
    house.pass_time(100)
    house.sync("c", at=1)
    house.work()
    house.pass_time(50)
    seen = read(house)
    assert (seen["plans", "held"], seen["plans", "active"]) == (1, 1)
    assert seen["runs", "held", "log.message"] == 1
    assert 150 <= seen["oldest_held_seconds",] < 170
    house.approve(house.plans("id")[0])
    assert 50 <= read(house)["oldest_held_seconds",] < 70
    house.approve(house.plans("id")[1])
    house.work()
    seen = read(house)
    assert seen["oldest_held_seconds",] == 0
    assert [seen["plans", state.value] for state in OPEN_PLANS] == [0] * len(OPEN_PLANS)


def test_what_syncs_did_to_resources_is_counted_when_they_are_planned(house: House) -> None:
    """Once for each sync, and none of a verdict is a number too: its series begins at 0."""
    assert ("resources_total", "changed") not in read(house)
    house.sync("a", "d")
    house.work()
    seen = read(house)
    assert seen["resources_total", "changed"] == 2
    assert seen["resources_total", "unknown"] == 0


def test_the_oldest_pause_of_each_scope_tells_its_age(house: House) -> None:
    """So that one that somebody forgot is noticed."""
    desk(house).pause(ANN, Scope.RULE, "call")
    house.pass_time(3600)
    desk(house).pause(ANN, Scope.RULE, "ask")
    seen = read(house)
    assert seen["pauses", "rule"] == 2
    assert 3600 <= seen["oldest_pause_seconds", "rule"] < 3620
    assert seen["oldest_pause_seconds", "all"] == 0


def test_of_several_dispatchers_each_tells_of_its_own_copy_of_the_rules(house: House) -> None:
    """One that refused its copy counts, whoever has loaded one last; one that is gone does not."""
    with house.ledger.write() as connection:
        now = house.ledger.now(connection)
        for name, beat in {
            "w-1": DispatcherHeartbeat(now, rules="a" * 64),
            "w-2": DispatcherHeartbeat(now, rules="b" * 64, refused=True),
            "w-3": DispatcherHeartbeat(now - 60_000, rules="c" * 64),
        }.items():
            write_heartbeat(connection, name, beat)
    seen = read(house)
    assert {key[1] for key in seen if key[0] == "rules_info"} == {"a" * 12, "b" * 12}
    assert seen["rules_reload_success",] == 0
    with house.ledger.write() as connection:
        write_heartbeat(connection, "w-2", DispatcherHeartbeat(now, rules="a" * 64))
    seen = read(house)
    assert {key[1] for key in seen if key[0] == "rules_info"} == {"a" * 12}
    assert seen["rules_reload_success",] == 1


SUCCEEDED: dict[str, Any] = {"state": "succeeded", "ready": False, "held_at": None}
HISTORY: dict[str, dict[str, Any]] = {
    "syncs": {"state": "planned"},
    "plans": SUCCEEDED,
    "runs": SUCCEEDED,
}
"""Tables that grow, and what most of their rows are."""


def age(house: House) -> None:
    """Give each table that grows a history, and let PostgreSQL know of it."""
    with house.ledger.write() as connection:
        for name, ended in HISTORY.items():
            table = tables.metadata.tables[name]
            row = connection.execute(select(table)).mappings().first()
            assert row is not None
            unique = {"id", "identity"} & set(row)
            rows = [
                {**row, **{key: value for key, value in ended.items() if key in row}}
                | {key: f"{row[key]}-{number}" for key in unique}
                for number in range(2000)
            ]
            connection.execute(insert(table), rows)
        connection.execute(text("ANALYZE"))


OF_SOME = {
    index.name for name in HISTORY for index in tables.metadata.tables[name].indexes
    if index.dialect_options["sqlite"]["where"] is not None
}  # fmt: skip
"""The indexes that have what is open, or what has failed, alone."""


def goes_through_all(step: str) -> bool:
    """Whether a step goes through a table that grows, or through an index that has all of it."""
    table = "|".join(HISTORY)
    found = re.search(rf"Seq Scan on ({table})|^SCAN ({table})(?: USING.* INDEX (\w+))?", step)
    return found is not None and found[3] not in OF_SOME


def test_a_scrape_reads_no_history(house: House) -> None:
    """Neither engine goes through a table that grows: each number has its index."""
    house.sync("a", "b1", "b2", "c")
    house.work()
    age(house)
    asked: list[tuple[str, Any]] = []
    engine = house.ledger.engine
    event.listen(engine, "before_cursor_execute", lambda *said: asked.append(said[2:4]))
    assert read(house)["plans", "held"] == 1
    explain = "EXPLAIN QUERY PLAN" if engine.dialect.name == "sqlite" else "EXPLAIN"
    with house.ledger.read() as connection:
        steps = [
            str(row[-1]).strip()
            for statement, values in list(asked)
            if statement.startswith("SELECT")
            for row in connection.exec_driver_sql(f"{explain} {statement}", values)
        ]
    assert any("plans_by_state" in step for step in steps)
    assert any("runs_held" in step for step in steps)
    assert [step for step in steps if goes_through_all(step)] == []
