"""Reads the ledger for people: syncs, one sync's story, readiness, counters."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, func, select, text

from receiver.errors import LedgerUnavailable
from receiver.ledger import tables
from receiver.ledger.connect import Ledger
from receiver.ledger.marks import HEARTBEAT, RULES, get_mark, put_mark
from receiver.model import rfc3339

PROBE = "probe"

Row = dict[str, Any]
"""JSON as the API shows it."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether the ledger takes writes, with the reason if not; rules and dispatcher as details."""

    writable: bool
    reason: str
    rules: Row
    dispatcher: Row


class Reader:
    """Answers questions. Every method reads one consistent state."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def syncs(self, *, limit: int, before: str = "", application: str = "") -> list[Row]:
        """List syncs, newest first, each with its plans' states.

        Args:
            limit: how many.
            before: an id; only older ones.
            application: ``namespace/name``, or the name alone.
        """
        s = tables.syncs
        query = select(*_columns(s, _SYNC)).order_by(s.c.id.desc()).limit(limit)
        if before:
            query = query.where(s.c.id < before)
        if application:
            query = query.where(
                (s.c.application == application)
                | s.c.application.endswith(f"/{application}", autoescape=True)
            )
        with self._ledger.read() as connection:
            rows = [_row(row) for row in connection.execute(query).mappings()]
            plans = _by(connection, tables.plans, "sync_id", [row["id"] for row in rows], _PLAN)
        return [row | {"plans": plans.get(row["id"], [])} for row in rows]

    def sync(self, sync: str) -> Row | None:
        """Tell one sync's story; None if there is no such sync."""
        s = tables.syncs
        with self._ledger.read() as connection:
            found = connection.execute(select(*_columns(s, _SYNC)).where(s.c.id == sync)).mappings()
            row = next(iter(found), None)
            if row is None:
                return None
            return {
                **_row(row),
                "deliveries": _list(connection, tables.deliveries, sync, _DELIVERY),
                "plans": _plans(connection, sync),
                "events": self._events(connection, sync),
            }

    def newest(self) -> str | None:
        """Return the id of the newest sync."""
        with self._ledger.read() as connection:
            found = connection.scalar(select(func.max(tables.syncs.c.id)))
        return None if found is None else str(found)

    def readiness(self) -> Readiness:
        """Try a write, and read what the dispatcher says of itself."""
        reason, rules, dispatcher = "", Row(), Row()
        try:
            with self._ledger.write() as connection:
                put_mark(connection, PROBE, self._ledger.now(connection))
            with self._ledger.read() as connection:
                now = self._ledger.now(connection)
                rules = _rules(get_mark(connection, RULES))
                beat = get_mark(connection, HEARTBEAT)
                age = (now - beat["at"]) / 1000 if beat else None
                dispatcher = {"heartbeatAgeSeconds": age}
        except LedgerUnavailable as error:
            reason = str(error)
        return Readiness(not reason, reason, rules, dispatcher)

    def counters(self) -> list[tuple[str, dict[str, str], float]]:
        """Return the dispatcher's metrics: counted ones, and gauges over what is open."""
        with self._ledger.read() as connection:
            c = tables.counters
            counted = [
                (row.name, json.loads(row.labels), row.value)
                for row in connection.execute(select(c).order_by(c.c.name, c.c.labels))
            ]
            now = self._ledger.now(connection)
            return counted + list(_gauges(connection, now))

    def _events(self, connection: Connection, sync: str) -> list[Row]:
        e = tables.audit_events
        rows = connection.execute(select(e).where(e.c.sync_id == sync).order_by(e.c.seq))
        return [
            {
                "seq": row.seq,
                "at": _moment(row.at),
                "event": row.name,
                **_named(row),
                **json.loads(row.data),
            }
            for row in rows
        ]


_SYNC = (
    "id", "sender", "channel", "application", "phase", "revision", "started_at", "finished_at",
    "received_at", "resources", "changed", "state", "reason", "planned_at",
)  # fmt: skip
_PLAN = (
    "id", "sync_id", "rule", "mode", "state", "reason", "rule_set", "created_at", "ended_at",
    "targets", "concurrency_key",
)  # fmt: skip
_RUN = (
    "id", "plan_id", "section", "action", "handler", "wave", "target", "state", "reason",
    "attempts", "due_at", "ended_at", "parameters", "output",
)  # fmt: skip
_ATTEMPT = ("run_id", "number", "started_at", "ended_at", "outcome", "reason")
_DELIVERY = ("id", "sync_id", "received_at", "verdict", "reason", "size", "sender")
_TEXTS_OF_JSON = frozenset({"targets", "parameters", "output"})


def _columns(table: Any, names: Iterable[str]) -> list[Any]:
    return [table.c[name] for name in names]


def _row(row: Mapping[Any, Any]) -> Row:
    """Turn a row into the API's words: camelCase keys, RFC 3339 times, JSON as JSON."""
    result: Row = {}
    for name, value in row.items():
        key = "".join(
            part if i == 0 else part.capitalize() for i, part in enumerate(name.split("_"))
        )
        if name.endswith("_at"):
            result[key] = _moment(value)
        elif name in _TEXTS_OF_JSON:
            result[key] = None if value is None else json.loads(value)
        else:
            result[key] = value
    return result


def _moment(ms: int | None) -> str | None:
    return None if ms is None else rfc3339(datetime.fromtimestamp(ms / 1000, UTC))


def _named(row: Any) -> Row:
    ids = {
        "delivery": row.delivery_id,
        "plan": row.plan_id,
        "run": row.run_id,
        "attempt": row.attempt,
    }
    return {name: value for name, value in ids.items() if value is not None}


def _by(
    connection: Connection, table: Any, key: str, values: list[Any], names: tuple[str, ...]
) -> dict[str, list[Row]]:
    """Read rows of several parents at once, grouped by parent and in order."""
    found: dict[str, list[Row]] = {}
    for start in range(0, len(values), 500):
        query = select(*_columns(table, names)).where(table.c[key].in_(values[start : start + 500]))
        for row in connection.execute(query.order_by(*table.primary_key)).mappings():
            found.setdefault(row[key], []).append(_row(row))
    return found


def _list(connection: Connection, table: Any, sync: str, names: tuple[str, ...]) -> list[Row]:
    return _by(connection, table, "sync_id", [sync], names).get(sync, [])


def _plans(connection: Connection, sync: str) -> list[Row]:
    plans = _by(connection, tables.plans, "sync_id", [sync], _PLAN).get(sync, [])
    runs = _by(connection, tables.runs, "plan_id", [plan["id"] for plan in plans], _RUN)
    every = [run["id"] for group in runs.values() for run in group]
    attempts = _by(connection, tables.attempts, "run_id", every, _ATTEMPT)
    return [
        plan
        | {
            "runs": [
                run | {"tries": attempts.get(run["id"], [])} for run in runs.get(plan["id"], [])
            ]
        }
        for plan in plans
    ]


def _rules(mark: Any) -> Row:
    if mark is None:
        return {"ok": False, "error": "no rules have been loaded yet", "digest": None, "rules": 0}
    return {
        "ok": mark["ok"],
        "error": mark["error"],
        "digest": mark.get("digest"),
        "rules": mark.get("rules", 0),
        "loadedAt": _moment(mark.get("loadedAt")),
    }


def _gauges(connection: Connection, now: int) -> Iterable[tuple[str, dict[str, str], float]]:
    """Count over the partial indexes of what is open: they grow with the backlog, not with time."""
    states = text(
        f"SELECT state, handler, COUNT(*) AS n FROM runs WHERE {tables.OPEN_RUN} "
        "GROUP BY state, handler"
    )
    for row in connection.execute(states):
        yield "runs", {"state": row.state, "handler": row.handler}, row.n
    dead = connection.scalar(text("SELECT COUNT(*) FROM runs WHERE state = 'failed'"))
    yield "dead_letters", {}, float(dead or 0)
    oldest = connection.scalar(text("SELECT MIN(due_at) FROM runs WHERE ready"))
    yield "oldest_due_seconds", {}, max(0.0, (now - oldest) / 1000) if oldest else 0.0
    new = connection.scalar(text("SELECT COUNT(*) FROM syncs WHERE syncs.state = 'new'"))
    yield "syncs_unplanned", {}, float(new or 0)
    beat = get_mark(connection, HEARTBEAT)
    if beat:
        yield "dispatcher_heartbeat_age_seconds", {}, (now - beat["at"]) / 1000
    rules = get_mark(connection, RULES)
    if rules:
        yield "rules_reload_success", {}, float(rules["ok"])
        yield "rules_info", {"digest": (rules.get("digest") or "")[:12]}, 1.0
        yield "rules", {}, float(rules.get("rules", 0))
