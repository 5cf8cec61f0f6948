"""Lists, page by page. Each page costs what it shows, however much lies in the ledger.

Ids sort by time, so the id of a page's last row is the place where the next page begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, false, select, text

from receiver.ledger import tables
from receiver.ledger.reading.rows import PLAN, RUN, SYNC, Row, columns, shown
from receiver.ledger.reading.story import plans_of
from receiver.model import RunState, first_id

OPEN_PLANS = frozenset({"waiting", "collecting", "held", "active"})
ENDED_RUNS = frozenset(state.value for state in RunState if state.ended)


@dataclass(frozen=True, slots=True)
class Filters:
    """What a list shows; empty is anything. Times in milliseconds since 1970.

    ``application`` is ``namespace/name``, or a name alone in whichever namespace. The times are
    those of the making, for runs in states that are ends those of their end.
    """

    states: tuple[str, ...] = ()
    rule: str = ""
    handler: str = ""
    application: str = ""
    sync: str = ""
    plan: str = ""
    since: int | None = None
    until: int | None = None


def list_syncs(connection: Connection, wanted: Filters, limit: int, before: str) -> list[Row]:
    """List syncs, the newest first, each with its plans."""
    s = tables.syncs
    query = _paged(select(*columns(s, SYNC)), s, wanted, before, limit, letter="s")
    if wanted.application:
        query = query.where(s.c.application.in_(applications(connection, wanted.application)))
    if wanted.states:
        query = query.where(_in_literally("state", wanted.states))
    rows = [shown(row) for row in connection.execute(query).mappings()]
    plans = plans_of(connection, [row["id"] for row in rows])
    return [row | {"plans": plans[row["id"]]} for row in rows]


def list_plans(connection: Connection, wanted: Filters, limit: int, before: str) -> list[Row]:
    """List plans, the newest first."""
    p = tables.plans
    query = _paged(select(*columns(p, PLAN)), p, wanted, before, limit, letter="p")
    if wanted.states:
        query = query.where(_in_literally("state", wanted.states))
        if OPEN_PLANS.issuperset(wanted.states):
            query = query.where(text(tables.UNENDED_PLAN))  # has an index of its own
    if wanted.rule:
        query = query.where(p.c.rule == wanted.rule)
    if wanted.sync:
        query = query.where(p.c.sync_id == wanted.sync)
    if wanted.application:
        query = query.where(p.c.application.in_(applications(connection, wanted.application)))
    return [shown(row) for row in connection.execute(query).mappings()]


def list_runs(connection: Connection, wanted: Filters, limit: int, before: str) -> list[Row]:
    """List runs, the newest first, each with its Application."""
    r, p = tables.runs, tables.plans
    ended = bool(wanted.states) and ENDED_RUNS.issuperset(wanted.states)
    joined = select(*columns(r, RUN), p.c.application).join(p, p.c.id == r.c.plan_id)
    query = _paged(joined, r, wanted, before, limit, letter="" if ended else "r")
    if ended and wanted.since is not None:
        query = query.where(r.c.ended_at >= wanted.since)
    if ended and wanted.until is not None:
        query = query.where(r.c.ended_at < wanted.until)
    if wanted.states:
        query = query.where(_in_literally("runs.state", wanted.states))
    for column, value in (
        (r.c.rule, wanted.rule), (r.c.handler, wanted.handler), (r.c.sync_id, wanted.sync),
        (r.c.plan_id, wanted.plan),
    ):  # fmt: skip
        if value:
            query = query.where(column == value)
    if wanted.application:
        query = query.where(p.c.application.in_(applications(connection, wanted.application)))
    return [shown(row) for row in connection.execute(query).mappings()]


def applications(connection: Connection, wanted: str) -> list[str]:
    """Return the Applications of a name, as ``namespace/name``: it alone is of any namespace."""
    if "/" in wanted:
        return [wanted]
    known = connection.scalars(_APPLICATIONS).all()
    return [one for one in known if one.rpartition("/")[2] == wanted]


_APPLICATIONS = text(
    "WITH RECURSIVE names(name) AS ("
    " SELECT MIN(application) FROM syncs"
    " UNION ALL"
    " SELECT (SELECT MIN(application) FROM syncs WHERE application > names.name) FROM names"
    " WHERE names.name IS NOT NULL) SELECT name FROM names WHERE name IS NOT NULL"
)
"""Steps from name to name over the index, however many syncs each has."""


def _paged(
    query: Select[Any], table: Any, wanted: Filters, before: str, limit: int, *, letter: str
) -> Select[Any]:
    """Order and cut a query; with a letter of ids, the times are those that the ids tell."""
    if before:
        query = query.where(table.c.id < before)
    if letter and wanted.since is not None:
        query = query.where(table.c.id >= first_id(letter, wanted.since))
    if letter and wanted.until is not None:
        query = query.where(table.c.id < first_id(letter, wanted.until))
    return query.order_by(table.c.id.desc()).limit(limit)


def _in_literally(column: str, words: Sequence[str]) -> ColumnElement[Any] | Any:
    """Write the words into the statement: only so does a partial index count for them."""
    if not all(word.isalpha() for word in words):
        return false()
    return text(f"{column} IN ({', '.join(repr(word) for word in words)})")
