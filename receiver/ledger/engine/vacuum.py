"""Keeps the SQLite file and its log bounded: returns unused pages to the file system.

SQLite uses the pages of deleted rows again, and gives none back by itself. Its write-ahead log
begins anew when no reader uses it, which may never be if readers overlap.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from receiver.core.errors import LedgerUnavailable
from receiver.ledger.engine.sqlite import SqliteLedger

PAGES = 256
"""Pages that one slice gives back: 1 MiB."""

SLACK = 10
"""One free page in so many stays, for what comes next."""

LOG_LIMIT = 64 << 20
"""Bytes that the log may have before it is emptied; it has 16 MB as long as nobody reads long."""

READERS_MS = 100
"""How long writers wait for readers of the log, so that it can begin anew."""


def shrink(ledger: SqliteLedger, slack: int = SLACK) -> Iterator[int]:
    """Give free pages back to the file system, a slice at a time.

    Args:
        ledger: the file gets smaller with the next checkpoint of its log.
        slack: one free page in so many stays; 0 keeps none.

    Yields:
        How many pages are still to be given back.

    Raises:
        LedgerUnavailable: the ledger took no write.
    """
    before, (free, spare) = None, _free(ledger, slack)
    while spare > 0 and free != before:
        with _raw(ledger) as connection, ledger.write_lock:
            # A script runs to its end; a statement of Python's would free its first page alone.
            connection.executescript(f"PRAGMA incremental_vacuum({min(PAGES, spare)})")
        before, (free, spare) = free, _free(ledger, slack)
        yield max(0, spare)


def _free(ledger: SqliteLedger, slack: int) -> tuple[int, int]:
    """Return how many pages nothing uses, and how many of them are to be given back."""
    with _raw(ledger) as connection:
        free: int = connection.execute("PRAGMA freelist_count").fetchone()[0]
        pages: int = connection.execute("PRAGMA page_count").fetchone()[0]
    return free, free - pages // slack if slack else free


def size(ledger: SqliteLedger) -> int:
    """Return the bytes of the ledger's pages, those in its log included."""
    with _raw(ledger) as connection:
        pages: int = connection.execute("PRAGMA page_count").fetchone()[0]
        each: int = connection.execute("PRAGMA page_size").fetchone()[0]
    return pages * each


def empty_log(ledger: SqliteLedger, limit: int = LOG_LIMIT) -> bool:
    """Move a log that is larger than ``limit`` bytes into the file, and begin it anew.

    Returns:
        False if somebody reads from it for so long that it has to wait for another time.

    Raises:
        LedgerUnavailable: the disk is full, or not writable.
    """
    log = ledger.path.with_name(ledger.path.name + "-wal")
    if not log.exists() or log.stat().st_size <= limit:
        return True
    with _raw(ledger) as connection:
        # Most of it without a lock, so that writers do not wait for long.
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        patience = connection.execute("PRAGMA busy_timeout").fetchone()[0]
        connection.execute(f"PRAGMA busy_timeout = {READERS_MS}")
        try:
            with ledger.write_lock:
                busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        finally:
            connection.execute(f"PRAGMA busy_timeout = {patience}")
    return not busy


@contextmanager
def _raw(ledger: SqliteLedger) -> Iterator[sqlite3.Connection]:
    """Yield a connection outside of any transaction, which these statements ask for.

    Call it without the write lock: a file that is gone is copied under it.
    """
    ledger.check_still_there()
    pooled = ledger.engine.raw_connection()
    try:
        yield cast("sqlite3.Connection", pooled.driver_connection)
    except sqlite3.Error as error:
        raise LedgerUnavailable(f"the ledger took no write: {error}") from error
    finally:
        pooled.close()
