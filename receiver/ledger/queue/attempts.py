"""The statement that writes of one attempt."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Update, bindparam, update

from receiver.ledger import tables


def update_attempt(**values: Any) -> Update:
    """Return a statement that gives an attempt these values; ``run`` and ``attempt`` name it."""
    a = tables.attempts.c
    return (
        update(tables.attempts)
        .where(a.run_id == bindparam("run"), a.number == bindparam("attempt"))
        .values(**values)
    )
