"""The numbers for Prometheus: what the ledger counts, and how much of what is open.

Their cost grows with what is open and with the failed runs that are kept, never with the history.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from sqlalchemy import Connection, select, text

from receiver.core.states import OPEN_PLANS
from receiver.ledger import tables
from receiver.ledger.audit.key_values import RULES, get_value
from receiver.ledger.audit.trail import EVENTS, labels
from receiver.ledger.plans.custom_rules import count_custom_rules
from receiver.ledger.queries.status import DEAD_AFTER, dispatchers_of
from receiver.ledger.queue.heartbeats import DispatcherHeartbeat, read_heartbeats
from receiver.ledger.queue.pauses import Scope, all_paused_since, pauses_in_force

Number = tuple[str, dict[str, str], float]
"""A metric's name, its labels and its value."""

_RUNS = text(
    f"SELECT state, handler, COUNT(*) AS n FROM runs WHERE {tables.QUEUED_RUN} "
    "GROUP BY state, handler UNION ALL "
    f"SELECT state, handler || '', COUNT(*) AS n FROM runs WHERE {tables.HELD_RUN} "
    "GROUP BY state, handler || ''"
)
"""Held runs by an expression, which no index has: else SQLite reads all runs, by their handlers."""
_PLANS = text(
    "SELECT state, COUNT(*) AS n FROM plans "
    f"WHERE {tables.NOT_SUCCEEDED} AND {tables.state_in(OPEN_PLANS)} GROUP BY state"
)
_HELD = tuple(
    text(f"SELECT MIN(held_at) FROM {table} WHERE {condition}")
    for table, condition in (("plans", tables.HELD_PLAN), ("runs", tables.HELD_RUN))
)
_COUNTS = {
    # COUNT(*) SQLite may answer by going through an index that has the state of every run.
    "dead_letters": text(f"SELECT COUNT(ended_at) FROM runs WHERE {tables.FAILED_RUN}"),
    "syncs_unplanned": text(f"SELECT COUNT(*) FROM syncs WHERE {tables.NEW_SYNC}"),
    "syncs_verifying": text(f"SELECT COUNT(*) FROM syncs WHERE {tables.VERIFYING_SYNC}"),
}
_OLDEST_DUE = text(f"SELECT MIN(due_at) FROM runs WHERE {tables.READY_RUN}")


def read_numbers(connection: Connection, now: int) -> list[Number]:
    """Return all that the ledger knows; ``now`` in milliseconds."""
    c = tables.counters.c
    counted = {
        (row.name, row.labels): row.value
        for row in connection.execute(select(c.name, c.labels, c.value))
    }
    # A series begins at 0: of one that begins at 1 Prometheus would see no increase.
    found = {("events_total", labels(event=name)): 0.0 for name in sorted(EVENTS)} | counted
    return [
        *((name, json.loads(key), value) for (name, key), value in found.items()),
        *_open(connection), *_ages(connection, now), *_dispatchers(connection, now),
        *_tenant_rules(connection),
    ]  # fmt: skip


def _open(connection: Connection) -> Iterator[Number]:
    """Count over the partial indexes of what is open."""
    for row in connection.execute(_RUNS):
        yield "runs", {"state": row.state, "handler": row.handler}, row.n
    plans = {row.state: row.n for row in connection.execute(_PLANS)}
    for state in OPEN_PLANS:
        yield "plans", {"state": state.value}, plans.get(state.value, 0)
    for name, query in _COUNTS.items():
        yield name, {}, float(connection.scalar(query) or 0)


def _ages(connection: Connection, now: int) -> Iterator[Number]:
    """Tell how long the oldest has waited of what waits for its turn, and of what for a person."""
    paused = all_paused_since(connection) is not None
    due = None if paused else connection.scalar(_OLDEST_DUE)
    yield "oldest_due_seconds", {}, _age(due, now)
    held = [at for query in _HELD if (at := connection.scalar(query)) is not None]
    yield "oldest_held_seconds", {}, _age(min(held, default=None), now)
    pauses = pauses_in_force(connection)
    for scope in Scope:
        since = [pause.at for pause in pauses if pause.scope == scope]
        yield "pauses", {"scope": scope.value}, len(since)
        yield "oldest_pause_seconds", {"scope": scope.value}, _age(min(since, default=None), now)


def _age(since: int | None, now: int) -> float:
    return 0.0 if since is None else max(0.0, (now - since) / 1000)


def _dispatchers(connection: Connection, now: int) -> Iterator[Number]:
    """Tell who is alive, and by which rule files they plan: each has its own copy of them."""
    found = read_heartbeats(connection)
    summed_up = dispatchers_of(found, now)
    if summed_up["heartbeatAgeSeconds"] is not None:
        yield "dispatcher_heartbeat_age_seconds", {}, summed_up["heartbeatAgeSeconds"]
    yield "dispatchers", {}, summed_up["alive"]
    rules = get_value(connection, RULES)
    if rules is None:
        return
    alive = [beat for beat in found.values() if (now - beat.at) / 1000 < DEAD_AFTER]
    refused = not rules["ok"] or any(beat.refused for beat in alive)
    yield "rules_reload_success", {}, float(not refused)
    for digest in _digests(alive) or {rules.get("digest") or ""}:
        yield "rules_info", {"digest": digest[:12]}, 1.0
    yield "rules", {}, float(rules.get("rules", 0))


def _digests(alive: list[DispatcherHeartbeat]) -> set[str]:
    return {beat.rules for beat in alive if beat.rules}


def _tenant_rules(connection: Connection) -> Iterator[Number]:
    ready, not_ready = count_custom_rules(connection)
    yield "tenant_rules", {"ready": "true"}, float(ready)
    yield "tenant_rules", {"ready": "false"}, float(not_ready)
