"""A disk that fails a sync, and takes what it has lost for written from then on."""

from __future__ import annotations

import math
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from disks import BreakingDisk, breaking_disk
from service import wait_for
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from receiver.core.errors import LedgerUnavailable
from receiver.ledger.audit.key_values import get_value, put_value
from receiver.ledger.engine import sqlite
from receiver.ledger.engine.open import open_ledger
from receiver.ledger.engine.sqlite import SqliteLedger
from receiver.ledger.tables import key_values

SOME = 30
"""Commits before the disk breaks."""


@pytest.fixture
def breaking(tmp_path: Path) -> Iterator[BreakingDisk]:
    with breaking_disk(tmp_path) as disk:
        yield disk


class Writer:
    """Commits one value after another, and each again that was not taken, as the intake does.

    ``kept`` are those before the first failure, ``kept_after`` those after it.
    """

    def __init__(self, ledger: SqliteLedger) -> None:
        self.ledger = ledger
        self.kept: list[str] = []
        self.kept_after: list[str] = []
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        number = 0
        until = math.inf
        while time.monotonic() < until:
            try:
                with self.ledger.write() as connection:
                    put_value(connection, f"value-{number}", "x" * 2000)
            except LedgerUnavailable:
                until = min(until, time.monotonic() + 2 * sqlite.DISTRUST)
            else:
                (self.kept if until == math.inf else self.kept_after).append(f"value-{number}")
                number += 1

    def end(self) -> None:
        self._thread.join(30)


@pytest.mark.parametrize("number", range(4))
def test_nothing_is_taken_that_a_broken_disk_only_pretends_to_keep(
    breaking: BreakingDisk, number: int
) -> None:
    """It tells a failure once; the next sync of the same pages may succeed, and keep nothing.

    So may one that is under way while it breaks, of which nobody could know better.
    """
    path = breaking.place / "home" / f"ledger-{number}.db"
    ledger = open_ledger(path)
    breaking.sync()
    writer = Writer(ledger)
    wait_for(lambda: len(writer.kept) > SOME, 20, "some commits")
    breaking.abort()
    writer.end()
    ledger.close()
    breaking.repair()
    again = open_ledger(path)
    with again.read() as connection:
        there = set(connection.scalars(select(key_values.c.name)))
    again.close()
    assert set(writer.kept[:-1] + writer.kept_after) <= there


def test_after_a_failed_write_all_that_was_committed_is_written_anew(
    file_ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Out of the log into the file, before anything else is taken."""
    with file_ledger.write() as connection:
        put_value(connection, "before", 1)
    log = file_ledger.path.with_name(f"{file_ledger.path.name}-wal")
    assert log.stat().st_size > 0
    told = sqlite3.OperationalError("disk I/O error")
    told.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
    with pytest.raises(LedgerUnavailable), file_ledger.write():
        raise DBAPIError("COMMIT", None, told)
    with pytest.raises(LedgerUnavailable, match="just now"):
        write(file_ledger)
    monkeypatch.setattr(sqlite, "DISTRUST", 0)
    with file_ledger.write() as connection:
        assert log.stat().st_size == 0
        put_value(connection, "after", 2)
    with file_ledger.read() as connection:
        assert (get_value(connection, "before"), get_value(connection, "after")) == (1, 2)


def test_while_the_log_is_read_it_cannot_be_written_anew(
    file_ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever reads sees one state; a write is refused until that is over."""
    monkeypatch.setattr(sqlite, "DISTRUST", 0)
    with file_ledger.write() as connection:
        put_value(connection, "before", 1)
    told = sqlite3.OperationalError("disk I/O error")
    told.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
    with file_ledger.read() as reader:
        get_value(reader, "before")
        with pytest.raises(LedgerUnavailable), file_ledger.write():
            raise DBAPIError("COMMIT", None, told)
        with pytest.raises(LedgerUnavailable, match="the log is read meanwhile"):
            write(file_ledger)
    write(file_ledger)


def write(ledger: SqliteLedger) -> None:
    with ledger.write() as connection:
        put_value(connection, "after", 2)
