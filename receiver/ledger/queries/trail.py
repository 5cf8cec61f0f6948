"""The trail, page by page, the oldest line first.

``seq`` grows with the commits (see `lock_trail`), so who goes on after the last one that it
has seen misses none.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, func, select

from receiver.ledger import tables
from receiver.ledger.binding import UNBOUND, Binding, data_of
from receiver.ledger.queries.details import about_plans, about_run, about_sync
from receiver.ledger.queries.lists import applications
from receiver.ledger.queries.rows import Event
from receiver.ledger.queries.told import read_lines

SCANNED = 20_000
"""Lines that one page reads at most: some 20 ms, however rare what is wanted may be."""


OVERLAP_MS = 60_000
"""How much older than a line before it a line may be: both were written by transactions that lasted
at the same time, and no transaction lasts so long."""


@dataclass(frozen=True, slots=True)
class EventFilters:
    """Which lines; empty is any. ``event`` may have ``*`` and ``?``; ``since`` in milliseconds."""

    sync: str = ""
    plan: str = ""
    run: str = ""
    rule: str = ""
    event: str = ""
    application: str = ""
    since: int | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Lines, the ``seq`` after which to go on, and whether there may be more already."""

    events: list[Event]
    next: int
    more: bool


def read_trail(
    connection: Connection, wanted: EventFilters, after: int, limit: int, binding: Binding = UNBOUND
) -> Page:
    """Read the lines after a ``seq``."""
    e = tables.audit_events
    newest = connection.scalar(select(func.max(e.c.seq))) or 0
    if wanted.since is not None:
        after = max(after, _before(connection, wanted.since - OVERLAP_MS))
    about = _indexed_conditions(connection, wanted)
    until = newest if about else min(newest, after + SCANNED)
    query = select(e).where(e.c.seq > after, e.c.seq <= until, *binding.of_lines(connection))
    query = query.order_by(e.c.seq).limit(limit)
    for lines in about:
        query = query.where(e.c.seq.in_(select(e.c.seq).where(lines)))
    if wanted.since is not None:
        query = query.where(e.c.at >= wanted.since)
    if wanted.event:
        query = query.where(e.c.name.like(_like(wanted.event), escape="!"))
    if wanted.rule:
        query = query.where(data_of(connection, "rule") == wanted.rule)
    if wanted.application:
        s = tables.syncs
        names = applications(connection, wanted.application)
        query = query.where(
            e.c.sync_id.in_(select(s.c.id).where(s.c.application.in_(names)))
            | data_of(connection, "application").in_([*names, wanted.application])
        )
    events = read_lines(connection, query, binding)
    full = len(events) == limit
    reached = events[-1]["seq"] if full else max(until, after)
    return Page(events, reached, full or until < newest)


def _indexed_conditions(connection: Connection, wanted: EventFilters) -> list[ColumnElement[bool]]:
    """Return the conditions that an index answers: no page of these reads other lines."""
    about = []
    if wanted.sync:
        about.append(about_sync(connection, wanted.sync))
    if wanted.plan:
        about.append(about_plans(connection, [wanted.plan]))
    if wanted.run:
        about.append(about_run(connection, wanted.run))
    return about


def _before(connection: Connection, since: int) -> int:
    """Return the newest ``seq`` of a line older than that time, as old as lines are in order.

    Found by halving: an index by time would cost every line that is written.
    """
    e = tables.audit_events
    # one question each: SQLite reads the whole table for the least and the greatest at once
    low = (connection.scalar(select(func.min(e.c.seq))) or 1) - 1
    high = connection.scalar(select(func.max(e.c.seq))) or 0
    while low < high:
        middle = (low + high + 1) // 2
        at = connection.scalar(
            select(e.c.at).where(e.c.seq <= middle).order_by(e.c.seq.desc()).limit(1)
        )
        if at is None or at < since:
            low = middle
        else:
            high = middle - 1
    return low


def _like(glob: str) -> str:
    """Write a glob as SQL's LIKE, which both engines have."""
    for special in "!%_":
        glob = glob.replace(special, f"!{special}")
    return glob.replace("*", "%").replace("?", "_")
