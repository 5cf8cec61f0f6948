"""Copies a ledger that is in use to a file: one consistent state, without a lock."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from receiver.core.errors import LedgerError
from receiver.ledger.engine.progress import Progress

PAGES = 1024
"""Pages copied between two calls of `Progress`: 4 MiB."""


def back_up(ledger: Path | str, to: Path, progress: Progress) -> int:
    """Copy the ledger as it is now; what is written meanwhile is not in the copy.

    The copy has its name only when it is whole, checked and on disk.

    Args:
        ledger: the SQLite file, or the URL of a database; instances may be using it.
        to: the copy, which must not exist; only its owner may read it.
        progress: see `Progress`.

    Returns:
        The size of the copy in bytes.

    Raises:
        LedgerError: there is no ledger, the copy cannot be written, or it is damaged.
    """
    if isinstance(ledger, Path) and not ledger.is_file():
        raise LedgerError(
            f"there is no ledger {ledger}", hint="set POSTSYNC_HOME to the home of the instance"
        )
    with _reserved(to), tempfile.TemporaryDirectory(prefix=f".{to.name}.", dir=to.parent) as folder:
        part = Path(folder) / "ledger.db"
        if isinstance(ledger, Path):
            _copy_sqlite(ledger, part, progress)
        else:
            from receiver.ledger.engine.transfer import copy_from_postgres

            copy_from_postgres(ledger, part, progress)
        _check(part)
        part.chmod(0o600)
        size = _sync(part)
        part.replace(to)
        _sync(to.parent)
    return size


@contextmanager
def _reserved(to: Path) -> Iterator[None]:
    """Create the file, so that none is ever replaced; delete it if the copy fails."""
    try:
        to.open("xb").close()
    except FileExistsError:
        raise LedgerError(f"{to} exists already", hint="name a file that does not") from None
    except OSError as error:
        raise LedgerError(f"the backup {to} cannot be written: {error.strerror}") from None
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        to.unlink(missing_ok=True)
        raise LedgerError(f"the backup {to} could not be made: {error}") from error
    except BaseException:
        to.unlink(missing_ok=True)
        raise


def _copy_sqlite(ledger: Path, part: Path, progress: Progress) -> None:
    def report(_status: int, left: int, pages: int) -> None:
        progress(pages - left, pages)

    with (
        closing(sqlite3.connect(f"{ledger.resolve().as_uri()}?mode=ro", uri=True)) as source,
        closing(sqlite3.connect(part)) as copy,
    ):
        # In a transaction the copied state stays the same; without one, each write of another
        # process would make the copy begin anew.
        source.execute("BEGIN")
        source.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
        source.backup(copy, pages=PAGES, progress=report)


def _check(part: Path) -> None:
    with closing(sqlite3.connect(part)) as copy:
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, with nothing beside it
        found = copy.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise LedgerError(f"the copy is damaged, and so may be the ledger: {found}")


def _sync(path: Path) -> int:
    """Sync a file or a folder to the disk; return the size."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
        return os.fstat(number).st_size
    finally:
        os.close(number)
