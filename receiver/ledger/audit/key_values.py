"""Key-values that the processes share (creation, rules in force), and the stored rule sets."""

from __future__ import annotations

import json
import zlib
from typing import Any

from sqlalchemy import Connection, select, text

from receiver.core.storable import dumps
from receiver.ledger import tables

CREATED = "created"
RULES = "rules"
OUTLINE = "rule_outline"
"""The rules in force as lists show them: names, places, handlers (see `RuleOutline`)."""
CONNECTED = "connected"
"""When each sender's connection was first used, by sender, in milliseconds."""
PACE = "pace"
"""What a lane may have of a dispatcher: ``share`` of its threads, ``rates`` by handler a second."""

_PUT = text(
    "INSERT INTO key_values (name, value) VALUES (:name, :value) "
    "ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)


def put_value(connection: Connection, name: str, value: Any) -> None:
    """Store a JSON value under a name."""
    connection.execute(_PUT, {"name": name, "value": dumps(value)})


def get_value(connection: Connection, name: str) -> Any:
    """Return the JSON value under a name, None if there is none."""
    value = connection.scalar(
        select(tables.key_values.c.value).where(tables.key_values.c.name == name)
    )
    return None if value is None else json.loads(value)


_KEEP = text(
    "INSERT INTO rule_sets (digest, files, loaded_at) VALUES (:digest, :files, :loaded_at) "
    "ON CONFLICT (digest) DO NOTHING"
)


def store_rule_set(
    connection: Connection, now: int, digest: str, files: tuple[tuple[str, str], ...]
) -> None:
    """Store a rule set under its digest, once; plans refer to it."""
    packed = zlib.compress(json.dumps(files).encode())
    connection.execute(_KEEP, {"digest": digest, "files": packed, "loaded_at": now})


def get_rule_set(connection: Connection, digest: str) -> tuple[tuple[str, str], ...] | None:
    """Return the files (name, text) of a stored rule set."""
    packed = connection.scalar(
        select(tables.rule_sets.c.files).where(tables.rule_sets.c.digest == digest)
    )
    if packed is None:
        return None
    return tuple((name, body) for name, body in json.loads(zlib.decompress(packed)))
