"""Fills a ledger by SQL with copies of one sync: rows as they are in earnest, in minutes."""

from __future__ import annotations

import sys

from sqlalchemy import Connection, Engine, Table, select, text

from receiver.ledger import tables

OWN = frozenset({"id", "identity", "delivery_id", "sync_id", "plan_id", "run_id", "uid"})
"""Columns whose text is another one in each copy."""
SHARED = frozenset({"application", "flow"})
"""Columns whose text is one of `APPLICATIONS`."""
APPLICATIONS = 500
SLICE = 2_000
"""Copies of one transaction, so that who works on the ledger meanwhile waits for no more."""

TABLES: dict[str, str] = {
    "deliveries": "id = :delivery",
    "syncs": "id = :sync",
    "plans": "sync_id = :sync",
    "runs": "sync_id = :sync",
    "attempts": "run_id IN (SELECT id FROM runs WHERE sync_id = :sync)",
    "audit_events": "sync_id = :sync",
}


def fill(engine: Engine, sync: str, copies: int) -> None:
    """Add so many copies of a sync that has ended, with all that belongs to it."""
    with engine.connect() as connection:
        s = tables.syncs
        found = connection.execute(select(s.c.delivery_id).where(s.c.id == sync)).scalar_one()
    names = {"sync": sync, "delivery": found}
    for first in range(0, copies, SLICE):
        last = min(copies, first + SLICE)
        sys.stderr.write(f"\rcopy {last:,} of {copies:,}")
        with engine.begin() as connection:
            for name, mine in TABLES.items():
                _copy(connection, tables.metadata.tables[name], mine, names, range(first, last))
    sys.stderr.write("\n")


def _copy(
    connection: Connection, table: Table, mine: str, names: dict[str, str], numbers: range
) -> None:
    columns = [column.name for column in table.columns if column.name != "seq"]
    values = [f"{_value(name)} AS {name}" for name in columns]
    statement = text(
        "WITH RECURSIVE numbers (n) AS "
        "(SELECT CAST(:first AS INTEGER) UNION ALL SELECT n + 1 FROM numbers WHERE n < :last) "
        f"INSERT INTO {table.name} ({', '.join(columns)}) "
        f"SELECT {', '.join(values)} FROM {table.name}, numbers WHERE {mine}"
    )
    first, last = numbers.start, numbers.stop - 1
    used = {name: value for name, value in names.items() if f":{name}" in mine}
    connection.execute(statement, {"first": first, "last": last, **used})


def _value(name: str) -> str:
    if name in OWN:
        return f"{name} || '-' || CAST(10000000 + n AS TEXT)"
    if name in SHARED:
        return f"{name} || '-' || CAST(n % {APPLICATIONS} AS TEXT)"
    return name
