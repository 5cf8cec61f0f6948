"""Reads rows out of tables: camelCase keys, RFC 3339 times, JSON as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, TypeVar, cast, overload

from sqlalchemy import Column, ColumnElement, Connection, Select, Table, select

from receiver.core.model import from_ms, rfc3339
from receiver.ledger.queries.rows import Event
from receiver.rules.handlers.secret_refs import with_references

AT_ONCE = 500
"""Values that one query names; the engines take no more than some thousand."""

_TEXTS_OF_JSON = frozenset({"targets", "parameters", "output"})

R = TypeVar("R")


def columns(table: Table, model: type) -> tuple[ColumnElement[Any], ...]:
    """Return the columns that a model of rows shows of its table, each under the model's key.

    A key like ``sync`` is the column ``sync_id``. What a model shows from elsewhere is left out.
    """
    return labelled(table, [*model.__annotations__])


def labelled(table: Table, keys: Sequence[str]) -> tuple[ColumnElement[Any], ...]:
    """Return the columns for keys of a row; of a key that is from elsewhere there is none."""
    found = [(key, column) for key in keys if (column := _column(table, key)) is not None]
    secrets = [table.c.secrets] if "parameters" in keys else []
    return (*(column.label(key) for key, column in found), *secrets)


def _column(table: Table, key: str) -> Column[Any] | None:
    name = re.sub(r"[A-Z]", lambda letter: f"_{letter[0].lower()}", key)
    return table.c.get(name, table.c.get(f"{name}_id"))


def read_rows(connection: Connection, query: Select[Any], _model: type[R]) -> list[R]:
    """Read rows of a model; the query selects its `columns`.

    References to secrets stand where they belong in the parameters.
    """
    result = connection.execute(query)
    keys = tuple(result.keys())
    times = [key for key in keys if key.endswith("At")]
    texts = _TEXTS_OF_JSON.intersection(keys)
    rows = []
    for values in result:
        row = dict(zip(keys, values, strict=True))
        for key in times:
            row[key] = moment(row[key])
        for key in texts:
            row[key] = None if row[key] is None else json.loads(row[key])
        if (secrets := row.pop("secrets", None)) is not None:
            row["parameters"] = with_references(row["parameters"], json.loads(secrets))
        rows.append(row)
    return cast("list[R]", rows)


def read_one(
    connection: Connection, table: Table, wanted: str, model: type[R],
    seen: Sequence[ColumnElement[bool]] = (),
) -> R | None:  # fmt: skip
    """Read the row of an id that meets these conditions, None if there is no such row."""
    query = select(*columns(table, model)).where(table.c.id == wanted, *seen)
    return next(iter(read_rows(connection, query, model)), None)


def read_by(
    connection: Connection, table: Table, key: str, values: Sequence[str], model: type[R],
    order: Sequence[ColumnElement[Any]] = (),
) -> dict[str, list[R]]:  # fmt: skip
    """Read the rows that have one of these values under a key of the model, by it.

    They are in this order, or in that of the primary key.
    """
    every = select(*columns(table, model)).order_by(*order, *table.primary_key)
    parent: Any = _column(table, key)
    found: dict[str, list[R]] = {}
    for start in range(0, len(values), AT_ONCE):
        query = every.where(parent.in_(values[start : start + AT_ONCE]))
        for row in read_rows(connection, query, model):
            found.setdefault(cast("dict[str, str]", row)[key], []).append(row)
    return found


def read_events(connection: Connection, query: Select[Any]) -> list[Event]:
    """Read lines of the trail as stdout has them, each with its number in the trail."""
    return [_event(row) for row in connection.execute(query)]


def _event(row: Any) -> Event:
    ids = {
        "delivery": row.delivery_id,
        "sync": row.sync_id,
        "plan": row.plan_id,
        "run": row.run_id,
        "attempt": row.attempt,
    }
    named = {name: value for name, value in ids.items() if value is not None}
    line = {"seq": row.seq, "at": moment(row.at), "event": row.name}
    return cast("Event", {**line, **named, **json.loads(row.data)})


@overload
def moment(ms: int) -> str: ...
@overload
def moment(ms: int | None) -> str | None: ...
def moment(ms: int | None) -> str | None:
    """Write milliseconds since 1970 as the API does."""
    return None if ms is None else rfc3339(from_ms(ms))
