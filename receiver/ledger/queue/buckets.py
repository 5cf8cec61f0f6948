"""Token buckets that the dispatchers of several hosts share: their levels are in the ledger.

A claim locks the bucket of each lane that it takes from, until it has committed.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, select, text

from receiver.ledger import tables
from receiver.ledger.queue.rate_limits import Buckets

_MAKE = text(
    "INSERT INTO buckets (lane, tokens, at) VALUES (:lane, 1e9, :now) ON CONFLICT (lane) DO NOTHING"
)
"""More than any burst: it starts full."""

_KEEP = text("UPDATE buckets SET tokens = :tokens, at = :at WHERE lane = :lane")


class SharedBuckets:
    """What several dispatchers go by."""

    def __init__(self, buckets: Buckets) -> None:
        self._buckets = buckets

    @property
    def rates(self) -> Mapping[str, float]:
        """Attempts a second of each handler that has a rate."""
        return self._buckets.rates

    def within(self, connection: Connection) -> LockedBuckets:
        """Return what a claim asks, in its transaction."""
        return LockedBuckets(self._buckets, connection)


class LockedBuckets:
    """Buckets as they are in one transaction, which others wait for that want the same lanes."""

    def __init__(self, buckets: Buckets, connection: Connection) -> None:
        self._buckets = buckets
        self._connection = connection

    def room(self, lane: str, handler: str, most: int, now: int) -> int:
        """Return how many of ``most`` attempts may begin."""
        if self._buckets.limits(handler):
            self._connection.execute(_MAKE, {"lane": lane, "now": now})
            b = tables.buckets.c
            query = select(b.tokens, b.at).where(b.lane == lane).with_for_update()
            row = self._connection.execute(query).one()
            self._buckets.fill(lane, row.tokens, row.at)
        return self._buckets.room(lane, handler, most, now)

    def spend(self, lane: str, handler: str, now: int) -> None:
        """Take the token of an attempt that begins."""
        self._buckets.spend(lane, handler, now)
        if self._buckets.limits(handler):
            tokens, at = self._buckets.level(lane)
            self._connection.execute(_KEEP, {"lane": lane, "tokens": tokens, "at": at})

    def again_at(self, lane: str, handler: str, now: int) -> int:
        """Return when the next attempt may begin, in milliseconds."""
        return self._buckets.again_at(lane, handler, now)
