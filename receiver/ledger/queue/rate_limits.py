"""Token buckets: how many attempts of a lane a service takes now, by the limits it documents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from receiver.contract import Rate


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: int


class Buckets:
    """A bucket for each lane whose handler has a rate; in memory, so they start full.

    A lane names host and credential, and what shares both shares the bucket.
    """

    def __init__(self, rates: Mapping[str, Rate]) -> None:
        self._rates = rates
        self._buckets: dict[str, _Bucket] = {}

    @property
    def rates(self) -> Mapping[str, float]:
        """Attempts a second of each handler that has a rate."""
        return {handler: rate.per_second for handler, rate in self._rates.items()}

    def within(self, connection: object) -> Self:  # noqa: ARG002 nobody else has these buckets
        """Return itself: it is in memory."""
        return self

    def room(self, lane: str, handler: str, most: int, now: int) -> int:
        """Return how many of ``most`` attempts may begin; ``now`` in milliseconds."""
        rate = self._rates.get(handler)
        return most if rate is None else min(most, int(self._filled(lane, rate, now).tokens))

    def spend(self, lane: str, handler: str, now: int) -> None:
        """Take the token of an attempt that begins."""
        rate = self._rates.get(handler)
        if rate is not None:
            self._filled(lane, rate, now).tokens -= 1

    def again_at(self, lane: str, handler: str, now: int) -> int:
        """Return when the next attempt may begin, in milliseconds."""
        rate = self._rates.get(handler)
        if rate is None:
            return now
        missing = 1 - self._filled(lane, rate, now).tokens
        return now + max(0, int(missing / rate.per_second * 1000) + 1)

    def level(self, lane: str) -> tuple[float, int]:
        """Return the tokens of a bucket that is in use, and when they were counted."""
        bucket = self._buckets[lane]
        return bucket.tokens, bucket.at

    def fill(self, lane: str, tokens: float, at: int) -> None:
        """Set a bucket's tokens, as they were counted then."""
        self._buckets[lane] = _Bucket(tokens, at)

    def limits(self, handler: str) -> bool:
        """Return whether the handler has a rate."""
        return handler in self._rates

    def _filled(self, lane: str, rate: Rate, now: int) -> _Bucket:
        bucket = self._buckets.setdefault(lane, _Bucket(rate.burst, now))
        gained = max(0, now - bucket.at) / 1000 * rate.per_second
        bucket.tokens, bucket.at = min(rate.burst, bucket.tokens + gained), now
        return bucket
