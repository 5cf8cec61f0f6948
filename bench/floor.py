"""What a receiver costs at least: the rows of a notification, written by the driver alone.

The rows are those of one notification that Postsync itself has stored and run, copied with ids of
their own: the same bytes into the same tables and indexes, without anything that decides what is
in them. `floor_intake.py` and `floor_dispatcher.py` are made of it.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import cache
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import tuple_row

from receiver.ledger.engine.write_lock import WriteLock

Row = dict[str, Any]

OF_A_SYNC = {
    "syncs": "id = :sync", "deliveries": "sync_id = :sync", "plans": "sync_id = :sync",
    "runs": "sync_id = :sync", "audit_events": "sync_id = :sync",
    "attempts": "run_id = (SELECT id FROM runs WHERE sync_id = :sync)",
    "memories": "application = (SELECT application FROM syncs WHERE id = :sync)",
}  # fmt: skip
"""The tables, and which of their rows are those of a notification with one run."""
IDS = {
    "deliveries": {"id": "d"}, "syncs": {"id": "s", "delivery_id": "d"},
    "attempts": {"run_id": "r"}, "plans": {"id": "p", "sync_id": "s"},
    "runs": {"id": "r", "plan_id": "p", "sync_id": "s"},
    "audit_events": {"delivery_id": "d", "sync_id": "s", "plan_id": "p", "run_id": "r"},
}  # fmt: skip
"""Which columns have ids, and of what."""
_numbers = count(time.time_ns())


class Ledger:
    """One connection to a SQLite file or, by its URL, to a PostgreSQL database."""

    def __init__(self, place: str) -> None:
        self.shared = place.startswith("postgresql:")
        self._driver: Any = (
            psycopg.connect(place, autocommit=True, row_factory=tuple_row)
            if self.shared
            else sqlite3.connect(place, isolation_level=None, check_same_thread=False, timeout=30)
        )
        self._gate = None if self.shared else WriteLock(Path(place).with_suffix(".gate"))
        if not self.shared:
            self.run("PRAGMA synchronous = FULL", {})
        sync = self.rows("SELECT id FROM syncs WHERE state = 'planned' LIMIT 1")[0][0]
        self.pattern = {
            table: [self._dict(table, row) for row in self._select(table, which, sync)]
            for table, which in OF_A_SYNC.items()
        }

    def _select(self, table: str, which: str, sync: str) -> list[Any]:
        order = " ORDER BY seq" if table == "audit_events" else ""
        return self.rows(f"SELECT * FROM {table} WHERE {which}{order}", {"sync": sync})

    def _dict(self, table: str, row: Sequence[Any]) -> Row:
        names = [one[0] for one in self._driver.execute(f"SELECT * FROM {table}").description]
        return {name: value for name, value in zip(names, row, strict=True) if name != "seq"}

    def rows(self, sql: str, values: Mapping[str, Any] | None = None) -> list[Any]:
        found: list[Any] = self._driver.execute(self._form(sql), values or {}).fetchall()
        return found

    def run(self, sql: str, values: Mapping[str, Any]) -> None:
        self._driver.execute(self._form(sql), values)

    def known(self, identities: list[str]) -> list[Any]:
        """The syncs of these identities that are stored already."""
        which = "= ANY(:those)" if self.shared else "IN (SELECT value FROM json_each(:those))"
        those = identities if self.shared else json.dumps(identities)
        return self.rows(f"SELECT id FROM syncs WHERE identity {which}", {"those": those})

    def many(self, sql: str, rows: Sequence[Row]) -> None:
        if rows:
            self._driver.cursor().executemany(self._form(sql), rows)

    def insert(self, table: str, rows: Sequence[Row]) -> None:
        if rows:
            names = list(rows[0])
            places = ", ".join(f":{name}" for name in names)
            self.many(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({places})", rows)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One transaction; on SQLite it waits in a queue, as Postsync's do."""
        with self._gate or nullcontext():
            self.run("BEGIN" if self.shared else "BEGIN IMMEDIATE", {})
            yield
            self.run("COMMIT", {})

    def _form(self, sql: str) -> str:
        return _of_psycopg(sql) if self.shared else sql


@cache
def _of_psycopg(sql: str) -> str:
    return re.sub(r":(\w+)", r"%(\1)s", sql)


def new_ids() -> dict[str, str]:
    """Ids of a notification's delivery, sync, plan and run, in the order of time."""
    number = f"{next(_numbers):016x}{os.getpid() % 256:02x}"
    return {kind: f"{kind}-{number}" for kind in "dspr"}


def copy(ledger: Ledger, table: str, ids: Mapping[str, str], **own: Any) -> Row:
    """Return the pattern's row with other ids and values."""
    return _with_ids(table, ledger.pattern[table][0], ids) | own


def events(ledger: Ledger, ids: Mapping[str, str], *names: str) -> list[Row]:
    """Return the pattern's lines of the trail of these names."""
    return [
        _with_ids("audit_events", row, ids)
        for row in ledger.pattern["audit_events"]
        if row["name"] in names
    ]


def _with_ids(table: str, row: Row, ids: Mapping[str, str]) -> Row:
    columns = IDS.get(table, {}).items()
    return row | {column: ids[kind] for column, kind in columns if row[column] is not None}


def add_counts(ledger: Ledger, counts: Mapping[str, int]) -> None:
    ledger.many(
        "INSERT INTO counters (name, labels, value) VALUES ('floor', :name, :n) "
        "ON CONFLICT (name, labels) DO UPDATE SET value = counters.value + excluded.value",
        [{"name": name, "n": n} for name, n in sorted(counts.items())],
    )


def identity(*parts: str) -> str:
    return sha256("".join(parts).encode()).hexdigest()
