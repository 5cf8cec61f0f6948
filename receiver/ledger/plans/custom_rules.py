"""What is known of the PostSyncRules of the cluster, so that they stay in force without it."""

from __future__ import annotations

import json
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import Connection, Select, delete, func, select, text, update

from receiver.ledger import tables
from receiver.ledger.engine.unit_of_work import UnitOfWork

Key: TypeAlias = tuple[str, str]
"""Namespace and name of a PostSyncRule."""

Files: TypeAlias = tuple[tuple[str, str], ...]

_C, _R = tables.custom_rules.c, tables.rule_sets.c


@dataclass(frozen=True, slots=True)
class CustomRule:
    """A PostSyncRule as it was known last.

    Attributes:
        namespace: its own.
        name: its own, which is its rule's in that namespace.
        uid: of the object; another one of the same name is another rule.
        generation: which version of it was judged.
        digest: of the rule set in force for it, None if there is none.
        ready: whether that is of this generation.
        reason: why it is or is not, in one word.
        message: the same for people.
        outline: what lists show of the rule in force, as JSON; "" if there is none.
        since: when it became so, in milliseconds; it is given by the ledger.
    """

    namespace: str
    name: str
    uid: str
    generation: int
    digest: str | None
    ready: bool
    reason: str
    message: str
    outline: str = ""
    since: int = 0

    @property
    def key(self) -> Key:
        """Which one it is."""
        return self.namespace, self.name


_SELECT: Select[Any] = select(
    _C.namespace, _C.name, _C.uid, _C.generation, _C.digest, _C.ready, _C.reason, _C.message,
    _C.outline, _C.since,
)  # fmt: skip


def select_custom_rules() -> Select[Any]:
    """Return the query of what a `CustomRule` has, in its order."""
    return _SELECT


def read_custom_rules(
    connection: Connection, namespaces: Collection[str] | None = None
) -> list[CustomRule]:
    """Return all, or those of some namespaces, by namespace and name."""
    query = _SELECT if namespaces is None else _SELECT.where(_C.namespace.in_(namespaces))
    return [CustomRule(*row) for row in connection.execute(query.order_by(_C.namespace, _C.name))]


def count_custom_rules(connection: Connection) -> tuple[int, int]:
    """Return how many are ready, and how many are not."""
    counts = select(_C.ready, func.count()).group_by(_C.ready)
    found = {bool(row[0]): int(row[1]) for row in connection.execute(counts)}
    return found.get(True, 0), found.get(False, 0)


def read_custom_sets(connection: Connection, namespace: str = "") -> dict[str, Files]:
    """Return the files of the sets in force, by digest; of all namespaces, or of one."""
    query = select(_R.digest, _R.files).join(tables.custom_rules, _C.digest == _R.digest)
    query = query.where(_C.namespace == namespace) if namespace else query
    return {
        row.digest: tuple((name, body) for name, body in json.loads(zlib.decompress(row.files)))
        for row in connection.execute(query)
    }


_OF_ONE = "namespace = :in_namespace AND name = :of_name"
_LET_GO = text(
    "UPDATE rule_sets SET loaded_at = :now WHERE digest IN "
    f"(SELECT digest FROM custom_rules WHERE {_OF_ONE})"
)
"""The set that was in force counts as used just now: a dispatcher may still plan by it."""

_STORE = text(
    "INSERT INTO custom_rules "
    "(namespace, name, uid, generation, digest, ready, reason, message, outline, since, told, "
    "left_out) VALUES (:namespace, :name, :uid, :generation, :digest, :ready, :reason, :message, "
    ":outline, :since, '', '') "
    "ON CONFLICT (namespace, name) DO UPDATE SET "
    "uid = excluded.uid, generation = excluded.generation, digest = excluded.digest, "
    "ready = excluded.ready, reason = excluded.reason, message = excluded.message, "
    "outline = excluded.outline, "
    "since = CASE WHEN custom_rules.ready = excluded.ready "
    "AND custom_rules.reason = excluded.reason AND custom_rules.uid = excluded.uid "
    "THEN custom_rules.since ELSE excluded.since END, "
    "told = CASE WHEN custom_rules.uid = excluded.uid THEN custom_rules.told ELSE '' END, "
    "left_out = CASE WHEN custom_rules.digest = excluded.digest THEN custom_rules.left_out "
    "ELSE '' END "
    "WHERE custom_rules.uid <> excluded.uid OR custom_rules.generation <= excluded.generation"
)
"""Another dispatcher may have seen a newer version already."""

_DELETE = delete(tables.custom_rules).where(text(_OF_ONE))


def store_custom_rule(uow: UnitOfWork, rule: CustomRule) -> None:
    """Store what is known of one; its rule set is stored by others before."""
    _let_go(uow, rule.key)
    row = {
        "namespace": rule.namespace, "name": rule.name, "uid": rule.uid,
        "generation": rule.generation, "digest": rule.digest, "ready": rule.ready,
        "reason": rule.reason, "message": rule.message, "outline": rule.outline,
        "since": uow.now,
    }  # fmt: skip
    uow.add(_STORE, row)


def delete_custom_rule(uow: UnitOfWork, key: Key) -> None:
    """Forget one that is gone."""
    _let_go(uow, key)
    uow.add(_DELETE, _of_one(key))


def delete_custom_rules(connection: Connection, now: int) -> None:
    """Forget all: no namespace may have rules any more."""
    in_force = select(_C.digest).where(_C.digest.is_not(None))
    connection.execute(
        update(tables.rule_sets).where(_R.digest.in_(in_force)).values(loaded_at=now)
    )
    connection.execute(delete(tables.custom_rules))


def _let_go(uow: UnitOfWork, key: Key) -> None:
    uow.add(_LET_GO, {"now": uow.now, **_of_one(key)})


def _of_one(key: Key) -> dict[str, str]:
    return {"in_namespace": key[0], "of_name": key[1]}
