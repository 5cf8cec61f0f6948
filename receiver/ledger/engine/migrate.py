"""Migrates a ledger to the newest revision, forward only."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine, TextClause, inspect, select, text

from receiver.core.errors import LedgerError
from receiver.ledger import tables
from receiver.ledger.audit.key_values import CREATED, put_value


def revision_of(connection: Connection) -> str | None:
    """Return the migration that a ledger is at, None if it has no tables yet.

    Raises:
        LedgerError: it was made by a newer postsync, or by one of before the first release.
    """
    if not inspect(connection).has_table("alembic_version"):
        return None
    at: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    if at is not None and at > tables.REVISION:
        raise LedgerError(
            f"the ledger is at revision {at}, this postsync knows up to {tables.REVISION}",
            hint="it was used by a newer postsync: run that one, or restore an older copy",
        )
    if at == tables.REVISION and (missing := _missing_column(connection)):
        raise LedgerError(
            f"the ledger was made by an earlier postsync: it has no {missing}",
            hint="until the first release tables change without a migration: move the ledger away, "
            "or empty the database, and begin anew; the postsync that made it can export its trail",
        )
    return at


def _missing_column(connection: Connection) -> str:
    """Return the first column that a ledger should have and has not, "" if it has all."""
    there = {tuple(row) for row in connection.execute(_COLUMNS[connection.dialect.name])}
    wanted = [
        (column.table.name, column.name)
        for table in tables.metadata.sorted_tables
        for column in table.columns
    ]
    return next((".".join(column) for column in wanted if column not in there), "")


_COLUMNS = {
    "sqlite": text(
        "SELECT m.name, c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c "
        "WHERE m.type = 'table'"
    ),
    "postgresql": text(
        "SELECT relname, attname FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid "
        "WHERE relnamespace = to_regnamespace(current_schema()) AND NOT attisdropped"
    ),
}
"""One statement each: a ledger is opened often, and SQLAlchemy's inspector asks for each
table; and the information schema hides what a role has no right to."""


def migrate(engine: Engine, clock: TextClause) -> str | None:
    """Bring a ledger to the newest migration, in one transaction.

    Args:
        engine: the database; its transactions keep other migrations out.
        clock: the database's time in milliseconds.

    Returns:
        The migration that it was at, None if it had no tables.

    Raises:
        LedgerError: it was made by a newer postsync.
    """
    with engine.connect().execution_options(postsync_read=True) as connection:
        at = revision_of(connection)
    if at == tables.REVISION:
        return at
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(tables.__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    with engine.begin() as connection:
        at = revision_of(connection)  # another process may have migrated it meanwhile
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        if at is None:
            put_value(connection, CREATED, connection.scalar(select(clock)))
    return at
