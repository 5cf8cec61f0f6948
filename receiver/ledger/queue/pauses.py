"""What is paused: no attempt of it is claimed until an operator resumes it.

A pause of a rule or a handler is a mark on each of its open runs, so that the claim passes over
them in its index, however many there are; whoever makes a run due marks it (`pause_key`).
The pause of all is one row, which each claim looks at.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, ScalarSelect, and_, func, or_, select, text

from receiver.ledger import tables


class Scope(StrEnum):
    """What a pause is about."""

    ALL = "all"
    RULE = "rule"
    HANDLER = "handler"


def pause_key(rule: ColumnElement[str], handler: ColumnElement[str]) -> ScalarSelect[int]:
    """Return the expression for a run's ``paused_at``: NULL if no pause holds it back."""
    p = tables.pauses.c
    of_rule = and_(p.scope == Scope.RULE.value, p.name == rule)
    of_handler = and_(p.scope == Scope.HANDLER.value, p.name == handler)
    query = select(func.min(p.at)).where(or_(of_rule, of_handler))
    return query.correlate(tables.runs).scalar_subquery()


OWN_MARK = pause_key(tables.runs.c.rule, tables.runs.c.handler)
"""`pause_key` of a stored run, for an UPDATE."""

_ALL = text("SELECT at FROM pauses WHERE scope = 'all'")


def all_paused_since(connection: Connection) -> int | None:
    """Return when all was paused, in milliseconds; None if it is not."""
    since: int | None = connection.scalar(_ALL)
    return since


def pauses_in_force(connection: Connection) -> Sequence[Any]:
    """Return the rows of all pauses, the oldest first."""
    p = tables.pauses
    return connection.execute(select(p).order_by(p.c.at, p.c.scope, p.c.name)).all()
