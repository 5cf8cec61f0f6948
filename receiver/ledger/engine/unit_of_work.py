"""What one transaction writes, gathered: each statement is executed once, for all of its rows.

A turn of the dispatcher deals with many syncs, plans and runs; executed one by one, their
statements cost more than everything else that it does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Executable

from receiver.core.model import Event
from receiver.ledger.audit.trail import Counts, append_events

Row = dict[str, Any]


class UnitOfWork:
    """Rows and events of one writing transaction.

    Attributes:
        connection: for reading; what is still in the batch it does not see.
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
        """Have a statement of the module level executed with this row."""
        self._rows.setdefault(statement, []).append(row)

    def next_number(self, kind: str, key: str, read: Callable[[], int], step: int = 1) -> int:
        """Return a number that is read once and then counted here; it grows by ``step``."""
        name = kind, key
        if name not in self._numbers:
            self._numbers[name] = read()
        self._numbers[name] += step
        return self._numbers[name]

    def preset_number(self, kind: str, key: str, value: int) -> None:
        """Have a number known before it is asked for, unless it has been read already."""
        self._numbers.setdefault((kind, key), value)

    def reset_number(self, kind: str, key: str) -> None:
        """Have a number read again: something else than its own growth has changed it."""
        self._numbers.pop((kind, key), None)

    def flush(self) -> None:
        """Execute what was gathered, in the order in which each statement first came."""
        for statement, rows in self._rows.items():
            self.connection.execute(statement, rows)
        self._rows.clear()

    def finish(self) -> None:
        """Execute the rest, then write the trail's lines and the counts; nothing comes after it.

        The trail is locked from here to the commit: whoever waited for a row meanwhile could
        wait for somebody who waits for the trail.
        """
        self.flush()
        append_events(self.connection, self.now, self.events, self.counts)
        self.counts.clear()
