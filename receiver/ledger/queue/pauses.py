"""What is paused: no attempt of it is claimed until an operator resumes it.

A pause of a rule or a handler is a mark on each of its open runs, so that the claim passes over
them in its index, however many there are; each statement that makes a run due
sets its ``paused_at``. The pause of all is one row, which each claim reads.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import ColumnElement, Connection, ScalarSelect, and_, func, or_, select, text

from receiver.ledger import tables
from receiver.ledger.prepared import Prepared


class Scope(StrEnum):
    """What a pause is about."""

    ALL = "all"
    RULE = "rule"
    HANDLER = "handler"


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause in force, by whom and why; of the scope ``all`` the name is empty.

    ``scope`` is a `Scope` as it is stored; ``at`` is when it was set, in milliseconds.
    """

    scope: str
    name: str
    operator: str
    reason: str
    at: int


def select_paused_at(rule: ColumnElement[str], handler: ColumnElement[str]) -> ScalarSelect[int]:
    """Return the expression for a run's ``paused_at``: NULL if no pause holds it back."""
    p = tables.pauses.c
    of_rule = and_(p.scope == Scope.RULE.value, p.name == rule)
    of_handler = and_(p.scope == Scope.HANDLER.value, p.name == handler)
    query = select(func.min(p.at)).where(or_(of_rule, of_handler))
    return query.correlate(tables.runs).scalar_subquery()


PAUSED_AT = select_paused_at(tables.runs.c.rule, tables.runs.c.handler)
"""``paused_at`` of a stored run as the pauses in force want it, for an UPDATE."""

_ALL = Prepared(text("SELECT at FROM pauses WHERE scope = 'all'"))


def all_paused_since(connection: Connection) -> int | None:
    """Return when all was paused, in milliseconds; None if it is not."""
    return next(iter(_ALL.scalars(connection)), None)


def pauses_in_force(connection: Connection) -> list[Pause]:
    """Return all pauses, the oldest first."""
    p = tables.pauses.c
    rows = connection.execute(_PAUSES.order_by(p.at, p.scope, p.name))
    return [Pause(*row) for row in rows]


def find_pause(connection: Connection, scope: Scope, name: str) -> Pause | None:
    """Return the pause of this name, None if there is none."""
    p = tables.pauses.c
    row = connection.execute(_PAUSES.where(p.scope == scope.value, p.name == name)).one_or_none()
    return None if row is None else Pause(*row)


_PAUSES = select(*(tables.pauses.c[name] for name in ("scope", "name", "operator", "reason", "at")))
