"""How many attempts of a lane a service takes now, by what it documents and what it has answered.

The limits that it documents are token buckets. If it answers that a limit is met, the lane is
blocked until a time: all of the lane, that is one credential at one host, since every other attempt
would meet the same limit, and many services count what they refuse as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, select, text

from receiver.contract import Rate
from receiver.ledger import tables
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.prepared import Prepared
from receiver.rules.tenants.names import tenant_of_lane

_MAKE = text(
    "INSERT INTO buckets (lane, tokens, at) VALUES (:lane, 1e9, :now) ON CONFLICT (lane) DO NOTHING"
)
"""More than any burst: it starts full."""

SOON = 50
"""Milliseconds until a tenant's bucket is asked for again that another claim has."""

_KEEP = text("UPDATE buckets SET tokens = :tokens, at = :at WHERE lane = :lane")


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: int


class Buckets:
    """A bucket for each lane whose handler has a rate; it starts full.

    A lane names host and credential, and what shares both shares the bucket. Dispatchers of
    several hosts share buckets through the ledger: a claim locks the bucket of each lane that it
    takes from, by `load`, until it has committed.

    A tenant whose rate is bounded has one more, for all of its lanes together. Of several
    dispatchers that claim in the same moment, one takes from it.

    Args:
        rates: of each handler that has one.
        shared: whether other dispatchers take from the same buckets; if not, they are in memory.
        of_tenant: the rate of a tenant, None if it has none.
    """

    def __init__(
        self, rates: Mapping[str, Rate], *, shared: bool = False,
        of_tenant: Callable[[str], Rate | None] = lambda _tenant: None,
    ) -> None:  # fmt: skip
        self._of_tenant = of_tenant
        self._away: set[str] = set()
        self._rates = rates
        self._shared = shared
        self._buckets: dict[str, _Bucket] = {}

    @property
    def rates(self) -> Mapping[str, float]:
        """Attempts a second of each handler that has a rate."""
        return {handler: rate.per_second for handler, rate in self._rates.items()}

    def load(self, connection: Connection, lane: str, handler: str, now: int) -> None:
        """Lock the bucket and read its level, if it is shared; ``now`` in milliseconds."""
        if self._shared and handler in self._rates:
            connection.execute(_MAKE, {"lane": lane, "now": now})
            b = tables.buckets.c
            query = select(b.tokens, b.at).where(b.lane == lane).with_for_update()
            row = connection.execute(query).one()
            self._buckets[lane] = _Bucket(row.tokens, row.at)

    def load_tenant(self, connection: Connection, lane: str, now: int) -> None:
        """Lock the bucket of the lane's tenant, as `load` does, unless another claim has it.

        Lanes are gone through in an order of which their tenants know nothing: to wait for a
        tenant's bucket could be to wait for each other.
        """
        limit = self._tenant(lane)
        if limit is None or not self._shared:
            return
        key, _ = limit
        connection.execute(_MAKE, {"lane": key, "now": now})
        b = tables.buckets.c
        query = select(b.tokens, b.at).where(b.lane == key).with_for_update(skip_locked=True)
        row = connection.execute(query).one_or_none()
        if row is None:
            self._away.add(key)
        else:
            self._away.discard(key)
            self._buckets[key] = _Bucket(row.tokens, row.at)

    def save(self, connection: Connection, lane: str, handler: str) -> None:
        """Store the level of a bucket that was loaded, if it is shared."""
        if self._shared and handler in self._rates:
            bucket = self._buckets[lane]
            level = {"lane": lane, "tokens": bucket.tokens, "at": bucket.at}
            connection.execute(_KEEP, level)
        limit = self._tenant(lane)
        if self._shared and limit is not None:
            bucket = self._buckets[limit[0]]
            connection.execute(_KEEP, {"lane": limit[0], "tokens": bucket.tokens, "at": bucket.at})

    def tenant_waits(self, lane: str, now: int) -> int:
        """Return until when the lane's tenant may begin no attempt, 0 if it may now."""
        limit = self._tenant(lane)
        if limit is None:
            return 0
        key, rate = limit
        if key in self._away:
            return now + SOON
        missing = 1 - self._filled(key, rate, now).tokens
        return now + int(missing / rate.per_second * 1000) + 1 if missing > 0 else 0

    def room(self, lane: str, handler: str, most: int, now: int) -> int:
        """Return how many of ``most`` attempts may begin; ``now`` in milliseconds."""
        rate = self._rates.get(handler)
        return most if rate is None else min(most, int(self._filled(lane, rate, now).tokens))

    def spend(self, lane: str, handler: str, now: int) -> None:
        """Take the token of an attempt that begins."""
        rate = self._rates.get(handler)
        if rate is not None:
            self._filled(lane, rate, now).tokens -= 1
        if (limit := self._tenant(lane)) is not None:
            self._filled(limit[0], limit[1], now).tokens -= 1

    def again_at(self, lane: str, handler: str, now: int) -> int:
        """Return when the next attempt may begin, in milliseconds."""
        rate = self._rates.get(handler)
        if rate is None:
            return now
        missing = 1 - self._filled(lane, rate, now).tokens
        return now + max(0, int(missing / rate.per_second * 1000) + 1)

    def _tenant(self, lane: str) -> tuple[str, Rate] | None:
        """Return the bucket and the rate of the lane's tenant, if it is bounded."""
        tenant = tenant_of_lane(lane)
        rate = self._of_tenant(tenant) if tenant else None
        return None if rate is None else (f"tenant {tenant}", rate)

    def _filled(self, lane: str, rate: Rate, now: int) -> _Bucket:
        bucket = self._buckets.setdefault(lane, _Bucket(rate.burst, now))
        gained = max(0, now - bucket.at) / 1000 * rate.per_second
        bucket.tokens, bucket.at = min(rate.burst, bucket.tokens + gained), now
        return bucket


_BLOCK = text(
    "INSERT INTO lanes (lane, blocked_until) VALUES (:lane, :until) "
    "ON CONFLICT (lane) DO UPDATE SET blocked_until = excluded.blocked_until "
    "WHERE excluded.blocked_until > lanes.blocked_until"
)
_PASSED = text("DELETE FROM lanes WHERE blocked_until <= :now")


def block_lane(uow: UnitOfWork, lane: str, until: int) -> None:
    """Let no attempt of the lane begin before that time (milliseconds)."""
    uow.add(_PASSED, {"now": uow.now})
    uow.add(_BLOCK, {"lane": lane, "until": until})


def blocked_lanes(connection: Connection, now: int) -> dict[str, int]:
    """Return the blocked lanes, and until when (milliseconds)."""
    return dict(_BLOCKED.all(connection, now=now))


_L = tables.lanes.c
_BLOCKED = Prepared(select(_L.lane, _L.blocked_until).where(_L.blocked_until > bindparam("now")))
