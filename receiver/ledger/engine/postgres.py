"""A ledger in PostgreSQL: connections, and the locks between those who write.

Any number of processes on any number of hosts write. What one transaction reads and then writes
is guarded by an advisory lock, so that the same code is right on both engines: planning, steps and
operators' commands take it exclusively, claims of due runs and outcomes take it shared, and what
only adds rows takes none (see `LockMode`). Another lock is on the trail: its ``seq`` grows in the
order of the commits, so that whoever follows it misses no line.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, select, text
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import NullPool

from receiver.core.errors import LedgerError, LedgerUnavailable
from receiver.core.storable import make_parameters_storable
from receiver.ledger import tables
from receiver.ledger.engine.dsn import SILENCE_MS, connect_arguments, redacted_url
from receiver.ledger.engine.ledger import IN_USE, Ledger, LockMode, driver_message
from receiver.ledger.engine.migrate import migrate, revision_of
from receiver.ledger.prepared import Prepared

NOW = text("CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)")
"""The server's clock in milliseconds; the transaction may have begun earlier, and waited."""

_KEY = "hashtext('postsync.state'), hashtext(current_schema())"
_LOCKS = {
    LockMode.EXCLUSIVE: Prepared(text(f"SELECT pg_advisory_xact_lock({_KEY})")),
    LockMode.SHARED: Prepared(text(f"SELECT pg_advisory_xact_lock_shared({_KEY})")),
}
CHANNEL = "postsync"
_WITHOUT_DISK = Prepared(text("SET LOCAL synchronous_commit = off"))
_NOTIFY = Prepared(text(f"NOTIFY {CHANNEL}"))
_SOLE = text("SELECT pg_try_advisory_xact_lock(hashtext(:task), hashtext(current_schema()))")
_MAY_BE_IDLE = text("SELECT set_config('idle_in_transaction_session_timeout', :ms, true)")
_MIGRATION = text("SELECT pg_advisory_xact_lock(hashtext('postsync.migration'), 0)")


class PostgresLedger(Ledger):
    """A ledger in a PostgreSQL database; the schema is the connection's first one.

    Attributes:
        lasting: opens a connection for each task that lasts, and closes it after: in the pool
            they would take those of everything else, as many as there are senders whose Argo CD is
            slow.
    """

    def __init__(self, engine: Engine, lasting: Engine, offset_ms: int = 0) -> None:
        super().__init__(engine, offset_ms)
        self.lasting = lasting

    now_query = Prepared(select(NOW))
    shared = True

    def notify(self, connection: Connection) -> None:
        """Notify all listeners, see `receiver.ledger.engine.pg_listen`."""
        _NOTIFY.run(connection, [{}])

    @contextmanager
    def exclusive_task(self, task: str, *, lasts: float = 0.0) -> Iterator[bool]:
        """Yield whether no other process does this task now."""
        try:
            connection = (self.lasting if lasts else self.engine).connect()
            if lasts * 1000 > SILENCE_MS:  # its transaction is idle for all that time
                connection.execute(_MAY_BE_IDLE, {"ms": str(int(lasts * 1000))})
            mine = bool(connection.scalar(_SOLE, {"task": f"postsync.{task}"}))
        except DBAPIError as error:
            raise LedgerUnavailable(
                f"the ledger cannot be read: {driver_message(error)}"
            ) from error
        except PoolTimeout as error:
            raise LedgerUnavailable(IN_USE) from error
        try:
            yield mine
        finally:
            with suppress(DBAPIError):  # what was done meanwhile is committed all the same
                connection.close()

    @contextmanager
    def _writing(self, mode: LockMode, *, lasting: bool) -> Iterator[Connection]:
        with self.engine.begin() as connection:
            if not lasting:
                _WITHOUT_DISK.run(connection, [{}])
            if mode in _LOCKS:
                _LOCKS[mode].run(connection, [{}])
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self.engine.connect().execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        ) as connection:
            yield connection


def open_postgres(url: str, *, busy_timeout: float = 5.0, offset_ms: int = 0) -> PostgresLedger:
    """Open the ledger in a database; nothing is asked of it yet, so it may be away.

    Args:
        url: ``postgresql://USER@HOST/DATABASE``, as libpq knows it; it may name several hosts.
        busy_timeout: seconds to wait for another's write.
        offset_ms: see `Ledger`.

    Raises:
        LedgerError: the URL is no such, or psycopg is not installed.
    """
    return PostgresLedger(
        _engine(url, busy_timeout), _engine(url, busy_timeout, poolclass=NullPool), offset_ms
    )


def check_postgres(url: str) -> None:
    """Check that the database has the tables of this version.

    Raises:
        LedgerError: it has not; or as `open_postgres`.
        LedgerUnavailable: the server is away.
    """
    with closing(open_postgres(url)) as ledger, ledger.read() as connection:
        at = revision_of(connection)
    if at != tables.REVISION:
        found = "has no tables yet" if at is None else f"is at revision {at}"
        raise LedgerError(
            f"the ledger in {redacted_url(url)} {found}, this postsync needs {tables.REVISION}",
            hint="run `postsync migrate` with this version once; instances of the version before "
            "may go on meanwhile",
        )


def migrate_postgres(url: str) -> str | None:
    """Bring the ledger in a database to the newest migration.

    Returns:
        The migration that it was at, None if it had no tables.

    Raises:
        LedgerError: the URL is no such, the user may not, or it was made by a newer postsync.
    """
    engine = _engine(url, busy_timeout=60.0)
    event.listen(engine, "begin", lambda connection: connection.execute(_MIGRATION))
    try:
        return migrate(engine, NOW)
    except DBAPIError as error:
        raise LedgerError(
            f"the ledger in {redacted_url(url)} was not migrated: {driver_message(error)}"
        ) from error
    finally:
        engine.dispose()


IN_TIME = 5.0
"""Seconds that a connection of the pool is waited for; a lease may be lost after 30."""


def _engine(url: str, busy_timeout: float, **pool: Any) -> Engine:
    arguments = connect_arguments(url, busy_timeout)
    pool = pool or {"pool_size": 16, "max_overflow": 32, "pool_timeout": IN_TIME}
    engine = create_engine("postgresql+psycopg://", connect_args=arguments, **pool)
    make_parameters_storable(engine)
    ping_idle_connections(engine)
    return engine


QUIET = 1.0
"""Idle seconds; before that, a server that went away is noticed by the transaction itself."""


def ping_idle_connections(engine: Engine) -> None:
    """Ping a pooled connection before its use if it was idle; without an answer, open a new one.

    SQLAlchemy's `pool_pre_ping` would ping before every transaction.
    """
    error = engine.dialect.loaded_dbapi.Error

    def returned(_connection: Any, record: Any) -> None:
        record.info["returned"] = time.monotonic()

    def taken(connection: Any, record: Any, _proxy: Any) -> None:
        now = time.monotonic()
        if now - record.info.get("returned", now) < QUIET:
            return
        try:
            engine.dialect.do_ping(connection)
        except error as broken:
            raise DisconnectionError from broken

    event.listen(engine, "checkin", returned)
    event.listen(engine, "checkout", taken)
