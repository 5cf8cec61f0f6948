"""How each sender's connection to Argo CD does, as whoever uses it has seen it last."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, select

from receiver.ledger import tables
from receiver.ledger.audit.key_values import get_value, put_value

_PREFIX = "connection "
TENANTS = "(tenants)"
"""In place of a sender: the API server that has the tenants' rules; no sender has such a name."""


@dataclass(frozen=True, slots=True)
class ConnectionState:
    """A sender's connection in one of its uses; times in milliseconds since 1970.

    Attributes:
        sender: whose connection it is.
        use: what for, in words: ``watch Applications``.
        connection: its name for messages.
        reason: why it does not work; "" if it does.
        since: since when that is so.
        at: when it was seen last.
    """

    sender: str
    use: str
    connection: str
    reason: str
    since: int
    at: int


def store_connection_state(
    connection: Connection, now: int, sender: str, use: str, name: str, reason: str
) -> bool:
    """Store how a connection does now; return whether it works again after a failure."""
    key = f"{_PREFIX}{sender} {use}"
    before = get_value(connection, key)
    same = before is not None and bool(before["reason"]) == bool(reason)
    since = before["since"] if same else now
    put_value(connection, key, asdict(ConnectionState(sender, use, name, reason, since, now)))
    return before is not None and not same and not reason


def read_connection_states(connection: Connection) -> Sequence[ConnectionState]:
    """Return every one, in the order of senders and uses."""
    m = tables.key_values.c
    query = select(m.value).where(m.name.startswith(_PREFIX)).order_by(m.name)
    return [ConnectionState(**json.loads(value)) for value in connection.scalars(query)]
