"""A prepared statement does what SQLAlchemy does with it, on either engine."""

from __future__ import annotations

import pytest
from house import House
from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError

from receiver.core.errors import LedgerUnavailable
from receiver.core.states import RunState
from receiver.ledger import tables
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.prepared import Prepared, any_of

RULE = """
- name: tell
  match: {resources: [{kind: ConfigMap}]}
  actions: [{uses: log.message, with: {text: hello}}]
"""
RUNS = tables.runs.c
ANY = Prepared(
    select(tables.runs)
    .where(any_of(RUNS.id, "wanted"), RUNS.state.in_((RunState.DUE.value, RunState.RUNNING.value)))
    .order_by(RUNS.id)
    .limit(bindparam("most"))
)
LANE = Prepared(insert(tables.lanes))
LATER = Prepared(
    update(tables.lanes)
    .where(tables.lanes.c.lane == bindparam("which"))
    .values(blocked_until=tables.lanes.c.blocked_until + bindparam("more"))
)


def _filled(ledger: Ledger) -> list[str]:
    house = House.of(ledger, RULE)
    house.sync("a", "b", "c")
    house.claim()
    with ledger.read() as connection:
        return list(connection.scalars(select(RUNS.id).order_by(RUNS.id)))


def test_rows_are_those_of_sqlalchemy(ledger: Ledger) -> None:
    """With their names, and each value of the type that its column has."""
    wanted = _filled(ledger)
    plain = select(tables.runs).where(RUNS.id.in_(wanted)).order_by(RUNS.id)
    with ledger.read() as connection:
        expected = connection.execute(plain).all()
        found = ANY.all(connection, wanted=[*wanted, "none"], most=10)
        assert [*map(tuple, found)] == [*map(tuple, expected)]
        assert found[0]._fields == expected[0]._fields
        assert [type(value) for value in found[0]] == [type(value) for value in expected[0]]


@pytest.mark.parametrize("count", [0, 1, 2_000])
def test_a_list_of_any_length_is_one_parameter(ledger: Ledger, count: int) -> None:
    """The text of the statement stays the same, also for none."""
    wanted = _filled(ledger)[:count]
    with ledger.read() as connection:
        listed = [*wanted, *map(str, range(count))]
        found = ANY.all(connection, wanted=listed, most=5_000)
    assert [row.id for row in found] == wanted


def test_rows_are_written_together_and_changed(ledger: Ledger) -> None:
    """Once for each row, in their order."""
    with ledger.write() as connection:
        LANE.run(connection, [{"lane": name, "blocked_until": 5} for name in "abc"])
        LATER.run(connection, [{"which": "b", "more": 2}, {"which": "b", "more": 3}])
        LATER.run(connection, [{"which": "c", "more": 1}])
        lanes = tables.lanes
        found = connection.execute(select(lanes.c.lane, lanes.c.blocked_until)).all()
    assert dict(map(tuple, found)) == {"a": 5, "b": 10, "c": 6}


def test_text_that_cannot_be_stored_is_made_storable(ledger: Ledger) -> None:
    """As in every other statement."""
    with ledger.write() as connection:
        LANE.run(connection, [{"lane": "a\0b\ud800", "blocked_until": 5}])
        assert connection.scalars(select(tables.lanes.c.lane)).all() == ["a\ufffdb\ufffd"]


def test_an_error_of_the_driver_is_one_of_sqlalchemy(ledger: Ledger) -> None:
    """So whoever handles a duplicate, or a ledger that is away, handles it here too."""
    row = {"lane": "a", "blocked_until": 5}
    with pytest.raises(LedgerUnavailable) as raised, ledger.write() as connection:
        LANE.run(connection, [row, row])
    assert isinstance(raised.value.__cause__, IntegrityError)
    with ledger.read() as connection:
        assert connection.scalars(select(tables.lanes.c.lane)).all() == []
