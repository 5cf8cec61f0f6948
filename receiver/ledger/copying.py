"""Copies a ledger in PostgreSQL to a SQLite file: every row of one consistent state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection, Table, delete, func, insert, select

from receiver.ledger import tables
from receiver.ledger.postgres import check_server, open_server
from receiver.ledger.sqlite import open_file

ROWS = 1000
"""Rows read and written at a time."""


def copy_server(url: str, to: Path, progress: Callable[[int, int], None]) -> None:
    """Copy a ledger, which may be in use, to a file that is a ledger then.

    Args:
        url: of the database.
        to: the file, which must not exist.
        progress: called with the rows that are copied, and how many there are.

    Raises:
        LedgerError: the database is at another migration, or the file cannot be written.
        LedgerUnavailable: the server is away, or went away.
    """
    check_server(url)
    with (
        closing(open_server(url)) as ledger,
        closing(open_file(to)) as file,
        ledger.read() as source,
        file.write() as copy,
    ):
        rows = sum(_count(source, table) for table in tables.metadata.sorted_tables)
        done = 0
        for table in tables.metadata.sorted_tables:
            for many in _copy(source, copy, table):
                done += many
                progress(done, rows)


def _count(source: Connection, table: Table) -> int:
    return int(source.scalar(select(func.count()).select_from(table)) or 0)


def _copy(source: Connection, copy: Connection, table: Table) -> Iterator[int]:
    copy.execute(delete(table))  # a new file knows when it was created
    found = source.execution_options(yield_per=ROWS).execute(select(table))
    for some in found.mappings().partitions():
        copy.execute(insert(table), [dict(row) for row in some])
        yield len(some)
