"""Opens the ledger, in a SQLite file or in PostgreSQL."""

from __future__ import annotations

from pathlib import Path
from typing import overload

from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.engine.sqlite import SqliteLedger, check_sqlite, open_sqlite


@overload
def open_ledger(
    place: Path, *, busy_timeout: float = 5.0, offset_ms: int = 0, reserve: int = 0
) -> SqliteLedger: ...


@overload
def open_ledger(
    place: Path | str, *, busy_timeout: float = 5.0, offset_ms: int = 0, reserve: int = 0
) -> Ledger: ...


def open_ledger(
    place: Path | str, *, busy_timeout: float = 5.0, offset_ms: int = 0, reserve: int = 0
) -> Ledger:
    """Open a SQLite file, which is made and migrated, or a database (see `prepare`).

    Args:
        place: the file, or the URL of a PostgreSQL database.
        busy_timeout: seconds to wait for another's write.
        offset_ms: see `Ledger`.
        reserve: see `SqliteLedger`; a database is not asked for its disk.

    Raises:
        LedgerError: not usable as it is; it says why.
    """
    if isinstance(place, Path):
        return open_sqlite(place, busy_timeout=busy_timeout, offset_ms=offset_ms, reserve=reserve)
    from receiver.ledger.engine.postgres import open_postgres

    return open_postgres(place, busy_timeout=busy_timeout, offset_ms=offset_ms)


def prepare(place: Path | str) -> None:
    """Check that a ledger can be used as it is: a SQLite file is created, a database must exist.

    Raises:
        LedgerError: it cannot; it says why.
        LedgerUnavailable: the server is away.
    """
    if isinstance(place, Path):
        check_sqlite(place)
        open_sqlite(place).close()
        return
    from receiver.ledger.engine.postgres import check_postgres

    check_postgres(place)
