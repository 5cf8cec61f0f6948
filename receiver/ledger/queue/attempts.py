"""Attempts in the ledger: the statement that writes one, and what they say of their runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Update, bindparam, select, update

from receiver.core.model import OutcomeKind
from receiver.ledger import tables


def update_attempt(**values: Any) -> Update:
    """Return a statement that gives an attempt these values; ``run`` and ``attempt`` name it."""
    a = tables.attempts.c
    return (
        update(tables.attempts)
        .where(a.run_id == bindparam("run"), a.number == bindparam("attempt"))
        .values(**values)
    )


def started_elsewhere(connection: Connection, runs: Sequence[str]) -> set[str]:
    """Return those of the runs that the other side has ever worked on, by its own answer.

    Their state names what was started there (a Job). Any other state is what `TemporaryError`
    says is done already (3 of 5 batches).
    """
    a = tables.attempts
    query = select(a.c.run_id).where(a.c.run_id.in_(runs), a.c.pending > 0)
    return set(connection.scalars(query))


def tried_in_vain(connection: Connection, runs: Sequence[str]) -> set[str]:
    """Return those of the runs that wait to be tried again, with nothing begun on the other side.

    Their last attempt has failed for the time being. One that was lost may have begun something.
    """
    a, r = tables.attempts, tables.runs
    last = a.c.run_id == r.c.id, a.c.number == r.c.attempts
    query = select(r.c.id).join(a, last[0] & last[1])
    query = query.where(r.c.id.in_(runs), a.c.outcome == OutcomeKind.TEMPORARY.value)
    return set(connection.scalars(query)) - started_elsewhere(connection, runs)
