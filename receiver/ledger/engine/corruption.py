"""Recognises a damaged SQLite file, as opposed to one that takes no write just now."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

from sqlalchemy.exc import DBAPIError

DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
CUT_OFF = sqlite3.SQLITE_IOERR_SHORT_READ
"""The file, or its log, has become shorter under those who have it open: they never read it again,
and only a start can."""
FAILED_SYNC = frozenset({sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC})
PRIMARY = 0xFF
"""The bits of SQLite's error codes that have the primary one
(https://www.sqlite.org/rescode.html)."""

HEADING = "*** in database main ***"
"""What SQLite writes before its findings."""

PATIENCE = 5.0
"""Seconds of a start for the check: enough for some GB; of a larger file a part is checked."""

STEPS = 10_000
"""Instructions of SQLite's virtual machine, some milliseconds, between two checks of the clock."""


def is_damage(error: DBAPIError) -> bool:
    """Whether the file itself is broken, so that trying again helps nothing."""
    code = getattr(error.orig, "sqlite_errorcode", 0)
    return code & PRIMARY in DAMAGE or code == CUT_OFF


def is_failed_sync(error: DBAPIError) -> bool:
    """Whether what was written before has not reached the disk; a failed write is told at once."""
    return getattr(error.orig, "sqlite_errorcode", 0) in FAILED_SYNC


def find_damage(path: Path) -> str:
    """Check the file's pages, for at most `PATIENCE` seconds; return what is wrong, or ""."""
    # Read-only, so that closing it writes nothing of the log back into the file. Where there is no
    # log, it would create one and leave it there, unless the file is declared immutable.
    log = path.with_name(f"{path.name}-wal")
    how = "mode=ro" if log.exists() else "immutable=1"
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?{how}", uri=True)) as file:
            until = time.monotonic() + PATIENCE
            file.set_progress_handler(lambda: time.monotonic() > until, STEPS)
            found = str(file.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.OperationalError:  # the time is over, or there is no file that can be read
        return ""
    except sqlite3.DatabaseError as error:
        found = str(error)
    return "" if found == "ok" else " ".join(found.removeprefix(HEADING).split())


def recovery_from_damage(path: Path) -> str:
    """Return what to do about a damaged file."""
    return (
        "the file is left as it is; stop the instance and put a backup in its place, "
        f"`cp BACKUP {path}; rm -f {path}-wal {path}-shm`, or move it away to begin with an empty "
        "ledger"
    )
