"""Rows as the API shows them: camelCase keys, RFC 3339 times, JSON as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, select

from receiver.core.model import from_ms, rfc3339
from receiver.rules.handlers.secret_refs import with_references

Row = dict[str, Any]

SYNC = (
    "id", "sender", "channel", "application", "phase", "revision", "started_at", "finished_at",
    "received_at", "resources", "changed", "state", "reason", "planned_at",
)  # fmt: skip
PLAN = (
    "id", "sync_id", "rule", "application", "mode", "state", "reason", "rule_set", "created_at",
    "due_at", "ended_at", "targets", "concurrency_key",
)  # fmt: skip
RUN = (
    "id", "plan_id", "sync_id", "rule", "section", "action", "handler", "wave", "target", "state",
    "reason", "attempts", "due_at", "ended_at", "parameters", "secrets", "output",
)  # fmt: skip
ATTEMPT = ("run_id", "number", "started_at", "pending", "ended_at", "outcome", "reason")
DELIVERY = ("id", "sync_id", "received_at", "verdict", "reason", "size", "sender")

_TEXTS_OF_JSON = frozenset({"targets", "parameters", "output"})


def columns(table: Any, names: Iterable[str]) -> list[Any]:
    """Return a table's columns by their names."""
    return [table.c[name] for name in names]


def shown(row: Mapping[Any, Any]) -> Row:
    """Turn a row into the API's words; a reference is called by what it refers to.

    References to secrets are shown where they stand in the parameters.
    """
    result: Row = {}
    for name, value in row.items():
        key = _camel(name.removesuffix("_id"))
        if name.endswith("_at"):
            result[key] = moment(value)
        elif name in _TEXTS_OF_JSON:
            result[key] = None if value is None else json.loads(value)
        else:
            result[key] = value
    if (secrets := result.pop("secrets", None)) is not None:
        result["parameters"] = with_references(result["parameters"], json.loads(secrets))
    return result


def shown_event(row: Any) -> Row:
    """Turn an event into the line that stdout has, with its number in the trail."""
    ids = {
        "delivery": row.delivery_id,
        "sync": row.sync_id,
        "plan": row.plan_id,
        "run": row.run_id,
        "attempt": row.attempt,
    }
    named = {name: value for name, value in ids.items() if value is not None}
    return {
        "seq": row.seq,
        "at": moment(row.at),
        "event": row.name,
        **named,
        **json.loads(row.data),
    }


def moment(ms: int | None) -> str | None:
    """Write milliseconds since 1970 as the API does."""
    return None if ms is None else rfc3339(from_ms(ms))


def grouped(
    connection: Connection, table: Any, key: str, values: list[Any], names: tuple[str, ...]
) -> dict[str, list[Row]]:
    """Read rows of several parents at once, grouped by parent and in order."""
    found: dict[str, list[Row]] = {}
    for start in range(0, len(values), 500):
        query = select(*columns(table, names)).where(table.c[key].in_(values[start : start + 500]))
        for row in connection.execute(query.order_by(*table.primary_key)).mappings():
            found.setdefault(row[key], []).append(shown(row))
    return found


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)
