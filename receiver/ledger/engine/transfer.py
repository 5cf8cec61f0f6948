"""Copies a ledger from PostgreSQL to a SQLite file, or back: every row of one consistent state."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection, Table, delete, func, insert, select, text

from receiver.core.errors import LedgerError
from receiver.ledger import tables
from receiver.ledger.engine.dsn import redacted_url
from receiver.ledger.engine.folder import lock_ledger
from receiver.ledger.engine.postgres import check_postgres, open_postgres
from receiver.ledger.engine.progress import Progress
from receiver.ledger.engine.sqlite import open_sqlite

ROWS = 1000
"""Rows read and written at a time."""

_NEXT_LINE = text(
    "SELECT setval(pg_get_serial_sequence('audit_events', 'seq'), MAX(seq)) FROM audit_events"
)


def copy_from_postgres(url: str, to: Path, progress: Progress) -> None:
    """Copy a ledger, which may be in use, to a file that is a ledger then.

    Args:
        url: of the database.
        to: the file, which must not exist.
        progress: see `Progress`.

    Raises:
        LedgerError: the database is at another migration, or the file cannot be written.
        LedgerUnavailable: the server is away, or went away.
    """
    check_postgres(url)
    with (
        closing(open_postgres(url)) as ledger,
        closing(open_sqlite(to)) as file,
        ledger.read() as source,
        file.write() as copy,
    ):
        _copy_all(source, copy, progress)


def copy_to_postgres(url: str, file: Path, progress: Progress) -> None:
    """Fill the tables in a database, which are empty, with the ledger of a file.

    All of it or nothing. What the file has open goes on in the database, by the same keys.

    Args:
        url: of the database, as a user who owns the tables.
        file: a ledger that nobody uses; it is brought to this version's tables, and left there.
        progress: see `Progress`.

    Raises:
        LedgerError: there is no such file, it is in use or no ledger, or the tables have something.
        LedgerUnavailable: the server is away, or went away.
    """
    if not file.is_file():
        raise LedgerError(f"there is no ledger {file}")
    check_postgres(url)
    with (
        lock_ledger(file),
        closing(open_sqlite(file)) as old,
        closing(open_postgres(url)) as ledger,
        old.read() as source,
        ledger.write() as copy,
    ):
        if _count(copy, tables.audit_events):
            raise LedgerError(
                f"the ledger in {redacted_url(url)} has a trail already",
                hint="fill it before `serve` and `work` are started, or name an empty database",
            )
        _copy_all(source, copy, progress)
        copy.execute(_NEXT_LINE)


def _copy_all(source: Connection, copy: Connection, progress: Progress) -> None:
    rows = sum(_count(source, table) for table in tables.metadata.sorted_tables)
    done = 0
    # A new ledger has the time of its creation there, and nothing else has a row.
    copy.execute(delete(tables.key_values))
    for table in tables.metadata.sorted_tables:
        for many in _copy(source, copy, table):
            done += many
            progress(done, rows)


def _count(source: Connection, table: Table) -> int:
    return int(source.scalar(select(func.count()).select_from(table)) or 0)


def _copy(source: Connection, copy: Connection, table: Table) -> Iterator[int]:
    found = source.execution_options(yield_per=ROWS).execute(select(table))
    for some in found.mappings().partitions():
        copy.execute(insert(table), [dict(row) for row in some])
        yield len(some)
