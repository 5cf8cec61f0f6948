"""Appends to the trail and adds to the counters, in the transaction that the events describe."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache

from sqlalchemy import Connection, insert, text

from receiver.core.model import Event
from receiver.core.storable import dumps
from receiver.ledger import tables
from receiver.ledger.prepared import Prepared

BY_KIND = {
    "notification": "accepted duplicate refused made",
    "sync": "recovered verifying verified unverified planned ignored failed replay_asked replayed "
    "replay_refused rules_unread",
    "operation": "missed",
    "connection": "failed restored",
    "fields": "read",
    "rule": "matched error",
    "plan": "waiting collecting awaits joined filled complete incomplete held gated opened "
    "unhealthy approved succeeded failed superseded cancelled",
    "wave": "released",
    "run": "skipped held expiring approved superseded failed acknowledged retried hurried reopened "
    "cancelled",
    "attempt": "started succeeded pending failed lost returned superseded",
    "clock": "jumped",
    "lane": "blocked",
    "action": "message",
    "message": "received",
    "pause": "set lifted",
    "ledger": "pruned",
    "rules": "loaded warning refused",
    "postsyncrule": "loaded refused removed",
    "watch": "failed restored",
}

EVENTS = frozenset(f"{kind}.{name}" for kind, names in BY_KIND.items() for name in names.split())
"""The names of the trail's events; docs/audit-trail.md says when each is written."""

Committed = Callable[[datetime, Sequence[Event]], None]
"""Called after a commit with its time and the events that it stored."""

_Key = tuple[str, str]
Counts = Counter[_Key]
"""Increments by metric name and labels (JSON, sorted keys)."""


def labels(**values: str) -> str:
    """Return labels as the text that is part of a counter's key."""
    return _labels(tuple(sorted(values.items())))


@lru_cache(4096)
def _labels(values: tuple[tuple[str, str], ...]) -> str:
    return json.dumps(dict(values))


_TRAIL = Prepared(
    text("SELECT pg_advisory_xact_lock(hashtext('postsync.trail'), hashtext(current_schema()))")
)


def lock_trail(connection: Connection) -> None:
    """Lock the trail and the counters until the commit, on the engine where several may write.

    So ``seq`` grows in the order of the commits, and whoever follows the trail misses no line. It
    is taken at the end of a transaction, so nobody waits for long. A SQLite file is locked as a
    whole anyway.
    """
    if connection.dialect.name == "postgresql":
        _TRAIL.run(connection, [{}])


def append_events(
    connection: Connection,
    at: int,
    events: Sequence[Event],
    counts: Mapping[tuple[str, str], float] | None = None,
) -> None:
    """Append the events in their order, and count them and ``counts``; ``at`` in milliseconds."""
    by_name = Counter(("events_total", labels(event=event.name)) for event in events)
    add_counts(connection, {**(counts or {}), **by_name})
    if not events:
        return
    _APPEND.run(
        connection,
        [
            {
                "at": at,
                "name": event.name,
                "delivery_id": event.delivery or None,
                "sync_id": event.sync or None,
                "plan_id": event.plan or None,
                "run_id": event.run or None,
                "attempt": event.attempt or None,
                "data": dumps(event.data),
            }
            for event in events
        ],
    )


_APPEND = Prepared(insert(tables.audit_events).inline())  # nobody asks for the numbers
ADD = text(
    "INSERT INTO counters (name, labels, value) VALUES (:name, :labels, :value) "
    "ON CONFLICT (name, labels) DO UPDATE SET value = counters.value + excluded.value"
)


def add_counts(connection: Connection, counts: Mapping[tuple[str, str], float]) -> None:
    """Add to the counters."""
    if counts:
        lock_trail(connection)
        _ADD.run(
            connection,
            [{"name": name, "labels": key, "value": n} for (name, key), n in counts.items()],
        )


_ADD = Prepared(ADD)

SECONDS = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0)
"""Bounds of the attempts' histogram."""


_Histogram = tuple[Sequence[tuple[float, _Key]], _Key, _Key]


def count_seconds(counts: Counts, name: str, seconds: float, **key: str) -> None:
    """Count one duration into a cumulative histogram, as Prometheus wants it."""
    buckets, total, count = _histogram(name, tuple(key.items()))
    for bound, bucket in buckets:
        if seconds <= bound:
            counts[bucket] += 1
    counts[total] += seconds  # type: ignore[assignment]  # Counter holds floats as well
    counts[count] += 1


@lru_cache(1024)
def _histogram(name: str, key: tuple[tuple[str, str], ...]) -> _Histogram:
    """Return the keys of a histogram: of each bucket with its bound, of the sum, of the count."""
    named = dict(key)
    buckets = [(bound, str(bound)) for bound in SECONDS] + [(math.inf, "+Inf")]
    return (
        [(bound, (f"{name}_bucket", labels(le=le, **named))) for bound, le in buckets],
        (f"{name}_sum", labels(**named)),
        (f"{name}_count", labels(**named)),
    )
