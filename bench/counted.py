"""Does as `postsync` does, and counts what SQLite executes: a byte each in `BENCH_COUNTS`, a file.

`t` is a transaction, `s` a statement in it; one with many rows is as many. SQLite itself tells
of each, so that what the product prepared is seen too.
"""

from __future__ import annotations

import os
import sqlite3

from sqlalchemy import event
from sqlalchemy.pool import Pool

from receiver.cli import main

KINDS = {"BEGIN": b"t", "COMMIT": b"", "ROLLBACK": b"", "PRAGMA": b"", "--": b""}
"""By a statement's first word; a comment is what a trigger does."""
COUNTS = os.open(os.environ["BENCH_COUNTS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def count(statement: str) -> None:
    """Count a statement, in one write: other processes do the same."""
    os.write(COUNTS, KINDS.get(statement.split(None, 1)[0], b"s"))


@event.listens_for(Pool, "connect")
def watch(connection: sqlite3.Connection, _: object) -> None:
    """Have each of a new connection's statements counted."""
    connection.set_trace_callback(count)


main()
