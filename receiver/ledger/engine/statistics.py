"""Lets SQLite plan each statement by the tables and their indexes alone, as the tests check it.

Statistics, which `ANALYZE` writes into the file, are of the moment at which it ran. Of what is
open there is mostly nothing then, and what is small may grow: by such statistics SQLite reads whole
tables for what an index would give, at each turn, and goes on with that for good.
"""

from __future__ import annotations

from contextlib import suppress

from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

_WRITTEN = text("SELECT name FROM sqlite_master WHERE name IN ('sqlite_stat1', 'sqlite_stat4')")


def drop_statistics(engine: Engine) -> None:
    """Drop the statistics of a SQLite file, where somebody has had them written.

    Where another process writes for long they stay, and the next who opens the file drops them.
    """
    with engine.execution_options(postsync_read=True).connect() as connection:
        written = connection.scalars(_WRITTEN).all()
    if not written:
        return
    with suppress(OperationalError), engine.begin() as connection:
        for table in written:
            connection.execute(text(f"DROP TABLE IF EXISTS {table}"))
    engine.dispose()  # what is connected plans by them still
