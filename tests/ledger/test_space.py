"""The file and its log stay bounded."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import insert, text

from receiver.ledger import tables
from receiver.ledger.audit.key_values import CREATED, get_value
from receiver.ledger.engine.open import open_ledger
from receiver.ledger.engine.sqlite import SqliteLedger
from receiver.ledger.engine.vacuum import empty_log, shrink, size
from receiver.ledger.retention.job import RetentionJob
from receiver.ledger.retention.policy import Policy

DAY_MS = 86_400_000
REFUSED = {
    "sender": "a", "channel": "sync", "verdict": "refused", "reason": "not_json",
    "size": 1, "query": "{}", "body": b"x" * 3000,
}  # fmt: skip


@pytest.fixture
def ledger(file_ledger: SqliteLedger) -> SqliteLedger:
    """Only a file has this."""
    return file_ledger


def fill(ledger: SqliteLedger, name: str, rows: int = 1500) -> None:
    """Store so many refused notifications, of 3 kB each, that came long ago."""
    with ledger.write() as connection:
        row = {"received_at": ledger.now(connection) - 40 * DAY_MS} | REFUSED
        values = [row | {"id": f"d-{name}-{number}"} for number in range(rows)]
        connection.execute(insert(tables.deliveries), values)


def log_size(ledger: SqliteLedger) -> int:
    return ledger.path.with_name("ledger.db-wal").stat().st_size


def test_the_file_is_bounded_over_rounds_of_filling_and_pruning(ledger: SqliteLedger) -> None:
    """Each round leaves it as small as the one before."""
    sizes = []
    for number in range(4):
        fill(ledger, str(number))
        full = size(ledger)
        assert sum(
            done["deliveries"] for done in RetentionJob(ledger, Policy(30 * 86400, 9, 60)).slices()
        )
        assert list(shrink(ledger))
        assert empty_log(ledger, limit=0)
        sizes.append(ledger.path.stat().st_size)
        assert sizes[-1] < full / 4
    assert max(sizes) - min(sizes) < 200_000


def test_space_is_given_back_in_slices_with_the_ledger_free_between_them(
    ledger: SqliteLedger,
) -> None:
    """A megabyte at a time, until a tenth of the pages is free."""
    fill(ledger, "one", rows=3000)
    with ledger.write() as connection:
        connection.execute(text("DELETE FROM deliveries"))
    left = []
    for pages in shrink(ledger):
        with ledger.write() as connection:
            assert get_value(connection, CREATED)
        left.append(pages)
    assert len(left) > 5
    assert left == sorted(left, reverse=True)
    assert list(shrink(ledger)) == []
    assert list(shrink(ledger, slack=0))


def test_a_file_that_cannot_shrink_is_left_as_it_is(tmp_path: Path) -> None:
    """One that was made without `auto_vacuum`: its free pages are used again."""
    with closing(open_ledger(tmp_path / "old.db")) as ledger:
        path = ledger.path
    with closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA journal_mode = DELETE")
        file.execute("PRAGMA auto_vacuum = NONE")
        file.execute("VACUUM")
    with closing(open_ledger(path)) as ledger:
        _fill_and_shrink(ledger)


def _fill_and_shrink(ledger: SqliteLedger) -> None:
    fill(ledger, "one")
    with ledger.write() as connection:
        connection.execute(text("DELETE FROM deliveries"))
    assert len(list(shrink(ledger))) == 1


def test_a_long_reader_makes_the_log_grow_and_nobody_wait(ledger: SqliteLedger) -> None:
    """The log begins anew when the reader has gone."""
    with ledger.read() as reader:
        reader.execute(text("SELECT * FROM key_values")).all()
        for number in range(4):
            fill(ledger, str(number))
        grown = log_size(ledger)
        assert grown > 4 * 1500 * 3000
        assert not empty_log(ledger, limit=0)
        fill(ledger, "meanwhile", rows=1)
    assert log_size(ledger) >= grown
    assert empty_log(ledger)
    assert log_size(ledger) >= grown  # below the limit it is left alone
    assert empty_log(ledger, limit=0)
    assert log_size(ledger) == 0


def test_a_new_file_can_shrink(ledger: SqliteLedger) -> None:
    """It was told before its first table."""
    with ledger.read() as connection:
        assert connection.exec_driver_sql("PRAGMA auto_vacuum").scalar() == 2
