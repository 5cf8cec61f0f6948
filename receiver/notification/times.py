"""Which of a notification's times can be true; a clock that is wrong must not order the syncs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from receiver.core.errors import PayloadError
from receiver.core.model import Sync, rfc3339

EARLIEST = datetime(2014, 6, 6, tzinfo=UTC)
"""The first public commit of Kubernetes: nothing was synced before that."""

AHEAD = timedelta(days=1)
"""How far the sender's clock may be before ours. Clocks of clusters differ by seconds, one that was
set in the wrong time zone by up to 14 hours; what is further ahead is no time of an operation."""


def check_times(sync: Sync, now: datetime) -> None:
    """Refuse times that cannot be true; ``now`` is by our own clock.

    A sync from the future would be the newest of its Application for years. Where our own clock is
    plainly wrong, as on a machine that has not asked for the time yet, it judges nobody.

    Raises:
        PayloadError: ``wrong_time``.
    """
    for name, moment in (("startedAt", sync.started_at), ("finishedAt", sync.finished_at)):
        if moment is None:
            continue
        if moment < EARLIEST:
            raise _wrong(name, moment, f"is before {EARLIEST:%Y-%m-%d}, when there was no Argo CD")
        if moment > now + AHEAD and now > EARLIEST:
            raise _wrong(name, moment, f"is more than a day ahead of our clock ({rfc3339(now)})")


def _wrong(name: str, moment: datetime, why: str) -> PayloadError:
    path = f"operationState.{name}"
    return PayloadError(
        "wrong_time",
        f"{path}: {rfc3339(moment)} {why}",
        hint="one of the two clocks is wrong: compare `date -u` on both sides",
        fields={path: why},
    )
