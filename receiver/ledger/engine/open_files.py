"""Detects that a SQLite ledger's files were removed or replaced, and rescues their contents.

A file that is removed or replaced lives on, without a name, for processes that have it open: what
is written to it is lost with the last of them. So nothing more is written to it, and it is copied.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from receiver.core.errors import LedgerError

NAMES = ("", "-wal", "-shm")
"""SQLite's files beside one another: without the log, or with another index of it than others have,
a ledger is lost as well (https://www.sqlite.org/wal.html)."""

PAGES = 4096
"""Pages of 4 KiB that are copied at a time."""


class OpenFiles:
    """The three files of a ledger, held open by a connection of its own that does nothing else."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._keeper = sqlite3.connect(path, timeout=5.0, check_same_thread=False)
        # With this SQLite opens the log and its index, which stay as long as the connection does.
        self._keeper.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
        self._files = self._identities()
        self._copy: Path | None = None

    def lost(self) -> str:
        """Return the names of the files that were removed or replaced, "" if none was."""
        if self._identities() == self._files:
            self._copy = None
            return ""
        names = (f"{self._path.name}{end}" for end in NAMES)
        changed = zip(names, self._identities(), self._files, strict=True)
        return " and ".join(name for name, now, opened in changed if now != opened)

    def rescue(self) -> Path:
        """Copy all that was committed into a file beside the ledger, once, and return it.

        Nobody may write meanwhile. A copy that another process made of the same files is replaced:
        it has no more than this one.

        Raises:
            OSError, sqlite3.Error: it could not be done.
        """
        if self._copy is None:
            folder = self._path.parent
            if not folder.is_dir():
                folder = Path(tempfile.mkdtemp(prefix="postsync-"))
            (_, number) = self._files[0] or (0, 0)
            self._copy = self._copied(folder / f"{self._path.stem}{RESCUED}{number}.db")
        return self._copy

    def close(self) -> None:
        """Close the files."""
        self._keeper.close()

    def _copied(self, copy: Path) -> Path:
        begun = copy.with_name(f"{copy.name}.{os.getpid()}")
        os.close(os.open(begun, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600))
        try:
            with closing(sqlite3.connect(begun)) as target:
                self._keeper.backup(target, pages=PAGES)
            begun.replace(copy)
        finally:
            begun.unlink(missing_ok=True)
        return copy

    def _identities(self) -> list[tuple[int, int] | None]:
        return [_identity(f"{self._path}{end}") for end in NAMES]


RESCUED = ".rescued-"
"""In the name of a copy, before the number (inode) of the file that it was made of."""


def refuse_to_replace_lost(path: Path) -> None:
    """Refuse to create an empty ledger in the place of one that was lost.

    Raises:
        LedgerError: there is no file, and a copy of what it had.
    """
    found = path.parent.glob(f"{path.stem}{RESCUED}*.db")
    copies = sorted(found, key=lambda copy: copy.stat().st_mtime, reverse=True)
    if copies and not path.exists():
        raise LedgerError(
            f"the ledger {path} is gone; it was removed while it was open, and {copies[0]} has all "
            "that it had",
            hint=f"{recovery_from_copy(copies[0], path)} to go on with it; or move it away to "
            "begin with an empty ledger",
        )


def recovery_from_copy(copy: Path, path: Path) -> str:
    """Return the commands that put a copy in the place of the ledger."""
    return f"`rm -f {path} {path}-wal {path}-shm; mv {copy} {path}`"


def _identity(file: str) -> tuple[int, int] | None:
    try:
        found = os.stat(file)  # noqa: PTH116 it is asked for each transaction
    except OSError:
        return None
    return found.st_dev, found.st_ino
