"""What a unit of work gathers is stored as if it had been executed piece by piece."""

from __future__ import annotations

from sqlalchemy import insert, select

from receiver.ledger import tables
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.engine.unit_of_work import UnitOfWork

TABLE = tables.planning_attempts
NEW = insert(TABLE)


def test_a_row_is_changed_after_it_is_inserted(ledger: Ledger) -> None:
    """Also by a statement that came before that of its insert, for another row."""
    with ledger.write() as connection:
        uow = UnitOfWork(connection, 0)
        uow.add(NEW, {"id": "old", "owner": "before", "attempts": 1})
        uow.flush()
        uow.change(TABLE, "old", owner="after")
        uow.add(NEW, {"id": "new", "owner": "before", "attempts": 1})
        uow.change(TABLE, "new", owner="after")
        uow.finish()
        owners = connection.execute(select(TABLE.c.id, TABLE.c.owner).order_by(TABLE.c.id)).all()
    assert [tuple(row) for row in owners] == [("new", "after"), ("old", "after")]
