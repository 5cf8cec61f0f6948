"""The state of the instance as a whole, for who asks whether it is well.

Its cost grows with what is open, never with the history: what has ended is read back for an hour,
or for so many rows, whichever is less.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

from sqlalchemy import Connection, Table, select, text

from receiver.core.model import first_id, made_at
from receiver.core.states import OPEN_PLANS, OPEN_RUNS, SyncState
from receiver.ledger import tables
from receiver.ledger.audit.connection_states import read_connection_states
from receiver.ledger.audit.key_values import RULES, get_value
from receiver.ledger.queries.overview_rows import (
    ConnectionSeen,
    DueRun,
    Group,
    HandlerFailures,
    Overview,
    RulesInForce,
    SenderNews,
)
from receiver.ledger.queries.row_mapping import moment
from receiver.ledger.queries.status import dispatchers_of, list_pauses, rules_in_force
from receiver.ledger.queue.heartbeats import read_heartbeats
from receiver.ledger.queue.pauses import all_paused_since

HOUR_MS = 3_600_000
"""What has failed longer ago is history."""
MOST_RUNS = 10_000
MOST_DELIVERIES = 5_000
"""Rows that are read back at most: each takes some milliseconds."""
TRIED_MS = 600_000
"""A connection that fails is tried again each minute: what was seen longer ago is nobody's news."""


def read_overview(connection: Connection, now: int) -> Overview:
    """Read it; ``now`` in milliseconds."""
    return {
        "at": moment(now),
        "rules": _rules(connection),
        "dispatcher": dispatchers_of(read_heartbeats(connection), now),
        "pauses": list_pauses(connection),
        "syncs": _syncs(connection, now),
        "plans": _plans(connection),
        "runs": _open(connection, tables.runs, OPEN_RUNS),
        "oldestDue": _oldest_due(connection),
        "handlers": _handlers(connection, now - HOUR_MS),
        "senders": _senders(connection, now - HOUR_MS),
    }


def read_connections(connection: Connection, now: int) -> list[ConnectionSeen]:
    """Read how the connections of all senders do, also of those that have none any more."""
    return [
        {
            "sender": one.sender,
            "use": one.use,
            "connection": one.connection,
            "works": not one.reason,
            "since": moment(one.since),
            "seenAt": moment(one.at),
            "tried": now - one.at < TRIED_MS,
            "reason": one.reason,
        }
        for one in read_connection_states(connection)
    ]


def _rules(connection: Connection) -> RulesInForce:
    files = (get_value(connection, RULES) or {}).get("files", [])
    return {**rules_in_force(connection), "files": files}


def _syncs(connection: Connection, now: int) -> dict[str, Group]:
    query = "SELECT COUNT(*) AS n, MIN(id) AS oldest FROM syncs WHERE "
    since = {"since": first_id("s", now - HOUR_MS)}
    failed = f"{tables.LEFT_OUT_SYNC} AND state = '{SyncState.FAILED}' AND id >= :since"
    return {
        SyncState.NEW.value: _group(connection, query + tables.NEW_SYNC),
        SyncState.VERIFYING.value: _group(connection, query + tables.VERIFYING_SYNC),
        SyncState.FAILED.value: _group(connection, query + failed, since),
    }


def _plans(connection: Connection) -> dict[str, Group]:
    awaiting = (
        "SELECT COUNT(*) AS n, MIN(id) AS oldest FROM plans "
        f"WHERE {tables.COLLECTING_PLAN} AND awaited IS NOT NULL"
    )
    found = _open(connection, tables.plans, OPEN_PLANS)
    return {**found, "awaiting": _group(connection, awaiting)}


def _open(connection: Connection, table: Table, states: Sequence[StrEnum]) -> dict[str, Group]:
    """Count rows by their states, over the index that has the states and ids of open ones."""
    query = text(
        f"SELECT state, COUNT(*) AS n, MIN(id) AS oldest FROM {table.name} "
        f"WHERE {tables.NOT_SUCCEEDED} AND {tables.state_in(states)} GROUP BY state"
    )
    found = {row.state: row for row in connection.execute(query)}
    return {
        state.value: _of(found[state].n, found[state].oldest) if state in found else _of(0, None)
        for state in states
    }


def _group(connection: Connection, query: str, values: Mapping[str, str] | None = None) -> Group:
    row = connection.execute(text(query), values or {}).one()
    return _of(row.n, row.oldest)


def _of(count: int, oldest: str | None) -> Group:
    made = None if oldest is None else moment(made_at(oldest))
    return {"count": count, "oldest": oldest, "madeAt": made}


_OLDEST_DUE = text(
    "SELECT id AS run, rule, handler, due_at FROM runs "
    f"WHERE {tables.READY_RUN} ORDER BY due_at LIMIT 1"
)


def _oldest_due(connection: Connection) -> DueRun | None:
    if all_paused_since(connection) is not None:
        return None
    row = connection.execute(_OLDEST_DUE).one_or_none()
    if row is None:
        return None
    return {"run": row.run, "rule": row.rule, "handler": row.handler, "dueAt": moment(row.due_at)}


_FAILED = text(
    "SELECT handler, n, id, reason, ended_at FROM ("
    "  SELECT handler, id, reason, ended_at, COUNT(*) OVER (PARTITION BY handler) AS n,"
    "   ROW_NUMBER() OVER (PARTITION BY handler ORDER BY ended_at DESC, id DESC) AS place FROM ("
    "    SELECT handler, id, reason, ended_at FROM runs"
    f"    WHERE {tables.FAILED_RUN} AND ended_at >= :since"
    "    ORDER BY ended_at DESC LIMIT :most) AS newest) AS ranked "
    "WHERE place = 1"
)
_RETRYING = text(
    "SELECT handler, COUNT(*) AS n FROM ("
    f"  SELECT handler, failures FROM runs WHERE {tables.SLEEPING_RUN}"
    "  ORDER BY due_at LIMIT :most) AS sleeping "
    "WHERE failures > 0 GROUP BY handler"
)


def _handlers(connection: Connection, since: int) -> list[HandlerFailures]:
    found: dict[str, HandlerFailures] = {
        row.handler: {
            "handler": row.handler, "failed": row.n, "retrying": 0, "run": row.id,
            "failedAt": moment(row.ended_at), "reason": row.reason,
        }
        for row in connection.execute(_FAILED, {"since": since, "most": MOST_RUNS})
    }  # fmt: skip
    for row in connection.execute(_RETRYING, {"most": MOST_RUNS}):
        none: HandlerFailures = {
            "handler": row.handler, "failed": 0, "retrying": 0, "run": None, "failedAt": None,
            "reason": "",
        }  # fmt: skip
        found.setdefault(row.handler, none)["retrying"] = row.n
    return [found[name] for name in sorted(found)]


_REFUSED = "n.verdict = 'refused' AND n.received_at >= :since AND (t.id IS NULL OR n.id > t.id)"
_SENDERS = text(
    "WITH newest AS ("
    "  SELECT id, sender, received_at, verdict, reason FROM deliveries"
    "  ORDER BY id DESC LIMIT :most), "
    # What was accepted for a reason was read from its Application: no notification came of it.
    "told AS ("
    "  SELECT sender, MAX(id) AS id FROM newest"
    "  WHERE verdict = 'duplicate' OR (verdict = 'accepted' AND reason = '') GROUP BY sender) "
    f"SELECT n.sender, t.id AS last, SUM(CASE WHEN {_REFUSED} THEN 1 ELSE 0 END) AS refused, "
    f"MAX(CASE WHEN {_REFUSED} THEN n.id END) AS newest_refused "
    "FROM newest n LEFT JOIN told t ON t.sender = n.sender "
    "GROUP BY n.sender, t.id ORDER BY n.sender"
)


def _senders(connection: Connection, since: int) -> list[SenderNews]:
    rows = connection.execute(_SENDERS, {"since": since, "most": MOST_DELIVERIES}).all()
    d = tables.deliveries.c
    ids = [one for row in rows for one in (row.last, row.newest_refused) if one]
    query = select(d.id, d.received_at, d.reason).where(d.id.in_(ids))
    named = {row.id: row for row in connection.execute(query)} if ids else {}
    return [
        {
            "sender": row.sender,
            "lastAt": moment(named[row.last].received_at) if row.last else None,
            "refused": row.refused,
            "reason": named[row.newest_refused].reason if row.newest_refused else "",
        }
        for row in rows
    ]
