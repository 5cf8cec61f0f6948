"""A unit of work: gathers a transaction's rows and executes each statement once, for all of them.

A turn of the dispatcher deals with many syncs, plans and runs; executed one by one, their
statements would cost more than everything else that it does.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from sqlalchemy import Connection, Executable, Insert, Table, Update, bindparam, update

from receiver.core.model import Event
from receiver.ledger.audit.trail import Counts, append_events
from receiver.ledger.prepared import prepared

Row = dict[str, Any]


class UnitOfWork:
    """Rows and events of one writing transaction.

    Attributes:
        connection: for reading; rows that are not flushed yet are not visible to it.
        now: the transaction's time in milliseconds.
        events: the trail's lines, in order.
        counts: increments of counters.
    """

    def __init__(self, connection: Connection, now: int) -> None:
        self.connection = connection
        self.now = now
        self.events: list[Event] = []
        self.counts = Counts()
        self._rows: dict[Executable, list[Row]] = {}
        self._numbers: dict[tuple[str, str], int] = {}

    def add(self, statement: Executable, row: Row) -> None:
        """Execute a statement, one defined at a module's level, with this row at the next flush."""
        self._rows.setdefault(statement, []).append(row)

    def change(self, table: Table, row: str, **values: object) -> None:
        """Give the row of an id new values, by column, at the next flush."""
        named = {f"new_{column}": value for column, value in values.items()}
        self.add(_update(table, tuple(values)), {"row": row} | named)

    def next_number(self, kind: str, key: str, read: Callable[[], int]) -> int:
        """Return the next number of a sequence: read once, then counted here."""
        name = kind, key
        if name not in self._numbers:
            self._numbers[name] = read()
        self._numbers[name] += 1
        return self._numbers[name]

    def preset_number(self, kind: str, key: str, value: int) -> None:
        """Set the last number of a sequence, unless it has been read already."""
        self._numbers.setdefault((kind, key), value)

    def reset_number(self, kind: str, key: str) -> None:
        """Have a sequence read again: it was changed by something else than `next_number`."""
        self._numbers.pop((kind, key), None)

    def flush(self) -> None:
        """Execute what was gathered: new rows first, as others may be told to change them.

        Else each statement at the place at which it first came.
        """
        gathered, self._rows = self._rows, {}
        for statement, rows in sorted(gathered.items(), key=_changes_rows):
            prepared(statement).run(self.connection, rows)

    def finish(self) -> None:
        """Flush, then append the events and add the counts; nothing may be written after it.

        The trail is locked from here to the commit. Waiting for a row while holding that lock
        could be a deadlock with whoever holds the row and waits for the trail.
        """
        self.flush()
        append_events(self.connection, self.now, self.events, self.counts)
        self.counts.clear()


def _changes_rows(item: tuple[Executable, list[Row]]) -> bool:
    return not isinstance(item[0], Insert)


@cache
def _update(table: Table, columns: tuple[str, ...]) -> Update:
    values: dict[str, Any] = {column: bindparam(f"new_{column}") for column in columns}
    return update(table).where(table.c.id == bindparam("row")).values(values)
