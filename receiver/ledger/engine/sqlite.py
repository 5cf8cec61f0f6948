"""A ledger in a SQLite file: pragmas, and who may write to it when."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, select, text
from sqlalchemy.exc import DBAPIError

from receiver.core.errors import LedgerDamaged, LedgerError, LedgerGone, LedgerUnavailable
from receiver.core.storable import make_parameters_storable
from receiver.ledger.engine.corruption import (
    find_damage,
    is_damage,
    is_failed_sync,
    recovery_from_damage,
)
from receiver.ledger.engine.folder import WRITABLE, make_folder
from receiver.ledger.engine.ledger import Ledger, LockMode, driver_message
from receiver.ledger.engine.migrate import migrate
from receiver.ledger.engine.open_files import OpenFiles, recovery_from_copy, refuse_to_replace_lost
from receiver.ledger.engine.statistics import drop_statistics
from receiver.ledger.engine.write_lock import WriteLock
from receiver.ledger.prepared import Prepared

NOW = text("CAST(ROUND((julianday('now') - 2440587.5) * 86400000) AS INTEGER)")
"""The database's clock in milliseconds; julianday because SQLite below 3.42 lacks 'subsec'."""


LOG_PAGES = 4_000
"""Pages of the log (WAL) after which they are moved into the file. Most are written again and
again, and SQLite's own 1,000 move them more often. Above 4,062 the log has a second index, in
which each reader looks too."""

DISTRUST = 1.0
"""Seconds after a failed write in which nothing is believed of a disk."""


class SqliteLedger(Ledger):
    """A ledger in a SQLite file; one process writes at a time.

    Attributes:
        path: the file.
        write_lock: lets one thread of one process write at a time, in their order.
        reserve: bytes of the disk that what only adds (`LockMode.APPEND`) leaves free for the work
            on what is there already.
    """

    now_query = Prepared(select(NOW))
    shared = False  # the instance lock keeps others out

    def __init__(
        self, path: Path, engine: Engine, write_lock: WriteLock, *, offset_ms: int, reserve: int
    ) -> None:
        super().__init__(engine, offset_ms)
        # Made once: each is an engine of its own over the same connections.
        self._readers = engine.execution_options(postsync_read=True)
        self._writers = engine.execution_options(postsync_lasting=True)
        self._quick_writers = engine.execution_options(postsync_lasting=False)
        self.path = path
        self.write_lock = write_lock
        self.files = OpenFiles(path)
        self.reserve = reserve
        self._damage = ""
        self._disk_failed = 0.0  # when, by the monotonic clock; 0 if it has not

    def notify(self, connection: Connection) -> None:
        """Do nothing: the one dispatcher is on this host, and has a `Wakeup`."""

    @contextmanager
    def exclusive_task(self, task: str, *, lasts: float = 0.0) -> Iterator[bool]:  # noqa: ARG002 there is only one dispatcher
        """Yield True: there is only one dispatcher."""
        yield True

    def close(self) -> None:
        """Close every connection, and the write lock."""
        super().close()
        self.files.close()
        self.write_lock.close()

    @contextmanager
    def _writing(self, mode: LockMode, *, lasting: bool) -> Iterator[Connection]:
        if self._damage:  # what is written into a broken file may break more of it
            raise LedgerDamaged(self._damage, hint=recovery_from_damage(self.path))
        if mode is LockMode.APPEND and self.reserve and not self.files.lost():
            self._leave_reserve()
        with self.write_lock:
            self._check_files()
            if self._disk_failed:
                self._write_anew()
            engine = self._writers if lasting else self._quick_writers
            with engine.begin() as connection:
                yield connection

    def _to_unavailable(self, message: str, error: DBAPIError) -> LedgerUnavailable:
        if is_failed_sync(error):
            self._disk_failed = time.monotonic()
        if not is_damage(error):
            return super()._to_unavailable(message, error)
        self._damage = f"the ledger {self.path} is damaged: {driver_message(error)}"
        return LedgerDamaged(self._damage, hint=recovery_from_damage(self.path))

    def _write_anew(self) -> None:
        """Move all that the log has into the file, and begin a new log, after a write has failed.

        The system tells a failed write once, and takes the pages for written from then on: the next
        sync of them succeeds, and a loss of power takes them, and all that follows them in the log.
        So nothing is taken until what is committed has been written again, elsewhere. For some
        milliseconds that may succeed in vain as well: while an ext4 gives up, before it refuses.
        """
        if time.monotonic() - self._disk_failed < DISTRUST:
            raise LedgerUnavailable("the disk has failed a write just now")
        connection = self.engine.raw_connection()
        try:
            connection.execute("PRAGMA synchronous = FULL")
            busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error as error:
            message = f"the disk has failed a write, and what was written is not safe: {error}"
            raise LedgerUnavailable(message) from error
        finally:
            connection.close()
        if busy:
            raise LedgerUnavailable("the disk has failed a write, and the log is read meanwhile")
        self._disk_failed = 0.0

    def _leave_reserve(self) -> None:
        disk = os.statvfs(self.path.parent)
        left = disk.f_bavail * disk.f_frsize
        if left < self.reserve:
            raise LedgerUnavailable(
                f"the disk of {self.path.parent} has {left >> 20} MiB left; of these "
                f"{self.reserve >> 20} MiB are kept for the work that was accepted"
            )

    def check_still_there(self) -> None:
        """Check that the file is the one that was opened.

        Raises:
            LedgerGone: it is not; what it had has been copied, if that could be done.
        """
        if self.files.lost():
            with self.write_lock:
                self._check_files()

    def _check_files(self) -> None:
        """Refuse to go on with a file that has no name any more; call it with the write lock."""
        lost = self.files.lost()
        if not lost:
            return
        message = f"{lost} of the ledger {self.path} was removed or replaced while it is open"
        try:
            copy = self.files.rescue()
        except (OSError, sqlite3.Error) as error:
            hint = (
                f"what it had could not be copied ({error}); it lives as long as this process, "
                f"{os.getpid()}, does: see /proc/{os.getpid()}/fd"
            )
        else:
            hint = f"all that it had is in {copy}; stop the instance, and to go on with that, "
            hint += recovery_from_copy(copy, self.path)
        raise LedgerGone(message, hint=hint)

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        self.check_still_there()
        with self._readers.connect() as connection:
            yield connection


def open_sqlite(
    path: Path, *, busy_timeout: float = 5.0, offset_ms: int = 0, reserve: int = 0
) -> SqliteLedger:
    """Open the SQLite file, make it if it is absent, and bring it to the newest migration.

    Args:
        path: the file; its folder is made if it is absent.
        busy_timeout: seconds to wait for another process's write.
        offset_ms: see `Ledger`.
        reserve: see `SqliteLedger`.

    Raises:
        LedgerError: not a usable place or file, made by a newer postsync, or one that was lost
            while it was open.
    """
    make_folder(path.parent)
    refuse_to_replace_lost(path)
    engine = create_engine(f"sqlite:///{path}", pool_size=16, max_overflow=32)
    event.listen(engine, "connect", _on_connect(busy_timeout))
    event.listen(engine, "begin", _on_begin)
    make_parameters_storable(engine)
    with ExitStack() as refused:
        refused.callback(engine.dispose)
        try:
            migrate(engine, NOW)
            drop_statistics(engine)
        except DBAPIError as error:
            raise LedgerError(
                f"the ledger {path} cannot be opened: {error.orig}", hint=_open_hint(path, error)
            ) from error
        path.chmod(0o600)
        write_lock = refused.enter_context(closing(WriteLock(path.with_suffix(".gate"))))
        ledger = SqliteLedger(path, engine, write_lock, offset_ms=offset_ms, reserve=reserve)
        refused.pop_all()
    return ledger


def check_sqlite(path: Path) -> None:
    """Look for damage before anything is written.

    Raises:
        LedgerError: there is some.
    """
    if found := find_damage(path):
        raise LedgerError(f"the ledger {path} is damaged: {found}", hint=recovery_from_damage(path))


def _open_hint(path: Path, error: DBAPIError) -> str:
    """Return what to do about a file that SQLite does not open."""
    if is_damage(error):
        return recovery_from_damage(path)
    if not os.access(path.parent, os.W_OK | os.X_OK):
        return WRITABLE
    if path.exists() and not os.access(path, os.R_OK | os.W_OK):
        return f"let this user read and write {path}, or set POSTSYNC_HOME to another folder"
    return ""


def _on_connect(busy_timeout: float) -> Any:
    def configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # transactions are begun by `_on_begin`
        try:
            connection.execute(f"PRAGMA busy_timeout = {int(busy_timeout * 1000)}")
            if connection.execute("PRAGMA page_count").fetchone() == (0,):
                # A file takes this only before its first table; `vacuum.py` needs it.
                connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")
        except sqlite3.Error:
            connection.close()  # it is not in the pool yet
            raise

    return configure


_READ = Prepared(text("BEGIN"))
_WRITE = Prepared(text("BEGIN IMMEDIATE"))
_LASTING = Prepared(text("PRAGMA synchronous = FULL"))
_QUICK = Prepared(text("PRAGMA synchronous = NORMAL"))
"""It leaves the log to the operating system, which outlives the process."""


def _on_begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    if options.get("postsync_read", False):
        _READ.run(connection, [{}])
        return
    level = _LASTING if options.get("postsync_lasting", True) else _QUICK
    level.run(connection, [{}])
    _WRITE.run(connection, [{}])
