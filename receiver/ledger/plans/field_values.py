"""The values of the fields that rules compare, as they were after the last syncs.

By sender, Application and where that goes to: the same names there are other objects. A channel is
no part of it: an object has one value, whichever notification it is read for.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from dataclasses import astuple, dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, select, text, update

from receiver.argocd.objects import ApplicationState
from receiver.core.index_key import index_key
from receiver.core.storable import dumps
from receiver.ledger import tables
from receiver.ledger.audit.key_values import get_value
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.prepared import any_of
from receiver.notification.field_memory import MOST, FieldKey, FieldMemory, Remembered

_F = tables.field_values.c

KEY = "digestKey"
"""The key-value with which digests of values are made."""

KEPT_MS = 2 * 86_400_000
"""So long a value is kept that no rule asks for: each rule set in force asks once a day."""


@dataclass(frozen=True, slots=True)
class FieldPlace:
    """Whose fields: ``application`` as ``namespace/name``, ``destination`` is its cluster."""

    sender: str
    application: str
    destination: str

    @classmethod
    def of(cls, sender: str, application: ApplicationState) -> FieldPlace:
        """Return that of an Application; of a long destination what stands for it."""
        return cls(sender, application.summary.key, index_key(application.destination))


@dataclass(frozen=True, slots=True)
class FieldUpdate:
    """What is remembered of some fields after a sync."""

    place: FieldPlace
    values: Mapping[FieldKey, Remembered]


def load_fields(ledger: Ledger, place: FieldPlace) -> FieldMemory:
    """Return what is remembered of an Application's fields."""
    key = _digest_key(ledger)
    with ledger.read() as connection:
        query = select(_F.resource, _F.path, _F.value, _F.previous, _F.finished_at, _F.started_at)
        rows = connection.execute(query.where(*_at(place)).limit(MOST))
        known = {(row[0], row[1]): Remembered(*row[2:]) for row in rows}
    return FieldMemory(known, bytes.fromhex(key))


def store_fields(uow: UnitOfWork, change: FieldUpdate) -> None:
    """Store what a sync has left, unless a newer one has been stored."""
    for field, now in change.values.items():
        uow.add(_STORE, _row(uow.now, change.place, field, now))


def begin_fields(uow: UnitOfWork, change: FieldUpdate) -> None:
    """Store values of fields of which nothing is known yet."""
    count = select(func.count()).select_from(tables.field_values).where(*_at(change.place))
    known = uow.connection.scalar(count) or 0
    for field, now in [*change.values.items()][: max(0, MOST - known)]:
        uow.add(_BEGIN, _row(uow.now, change.place, field, now))


def tidy_fields(
    connection: Connection, now: int, sender: str, applications: Collection[str] | None,
    paths: Collection[str],
) -> None:  # fmt: skip
    """Keep a sender's values that a rule asks for; delete those that none has asked for long.

    Not at once: another dispatcher may have other rules, as while rules change.

    Args:
        connection: in a transaction that may write.
        now: what is kept is of use at this time, in milliseconds; see `receiver.ledger.retention`.
        sender: whose.
        applications: those that there are, None where that is not known.
        paths: those that a rule asks for.
    """
    lists = {"paths": [*paths], "applications": [*(applications or ())]}
    asked = update(tables.field_values).where(_F.sender == sender, any_of(_F.path, "paths"))
    if applications is not None:
        asked = asked.where(any_of(_F.application, "applications"))
    else:
        del lists["applications"]
    connection.execute(asked.values(at=now), lists)
    old = _F.at < now - KEPT_MS
    connection.execute(delete(tables.field_values).where(_F.sender == sender, old))


def _at(place: FieldPlace) -> tuple[Any, ...]:
    return (
        _F.sender == place.sender,
        _F.application == place.application,
        _F.destination == place.destination,
    )


def _row(now: int, place: FieldPlace, field: FieldKey, value: Remembered) -> dict[str, Any]:
    return dict(zip(_COLUMNS, (*astuple(place), *field, *astuple(value), now), strict=True))


def _digest_key(ledger: Ledger) -> str:
    """Return this ledger's key, made when it is needed first."""
    with ledger.read() as connection:
        key = get_value(connection, KEY)
    if key is None:
        with ledger.write() as connection:
            connection.execute(_MAKE, {"name": KEY, "value": dumps(secrets.token_hex(32))})
            key = get_value(connection, KEY)
    return str(key)


_COLUMNS = tables.field_values.columns.keys()
_INTO = (
    f"INSERT INTO field_values ({', '.join(_COLUMNS)}) "
    f"VALUES ({', '.join(f':{name}' for name in _COLUMNS)}) "
    "ON CONFLICT (sender, application, destination, resource, path) "
)
_BEGIN = text(f"{_INTO} DO NOTHING")
_STORE = text(
    f"{_INTO} DO UPDATE SET value = excluded.value, previous = excluded.previous, "
    "finished_at = excluded.finished_at, started_at = excluded.started_at, at = excluded.at "
    "WHERE (excluded.finished_at, excluded.started_at) "
    ">= (field_values.finished_at, field_values.started_at)"
)
_MAKE = text(
    "INSERT INTO key_values (name, value) VALUES (:name, :value) ON CONFLICT (name) DO NOTHING"
)
