"""Says where a run queues when it becomes due."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import text

from receiver.ledger import tables
from receiver.ledger.engine.unit_of_work import UnitOfWork

_TURNS = text(
    f"SELECT (SELECT MAX(turn) FROM runs WHERE share = :share AND {tables.QUEUED_RUN}),"
    f" (SELECT MIN(turn) FROM runs WHERE {tables.READY_RUN})"
)

AT_ONCE = 32
"""Shares that one statement reads: always as many, so that it is prepared only once."""

_NAMES = [f"share_{number}" for number in range(AT_ONCE)]
_MANY_TURNS = text(
    "WITH wanted (share) AS (VALUES " + ", ".join(f"(:{name})" for name in _NAMES) + ")"
    " SELECT wanted.share,"
    f" (SELECT MAX(turn) FROM runs WHERE share = wanted.share AND {tables.QUEUED_RUN}),"
    f" (SELECT MIN(turn) FROM runs WHERE {tables.READY_RUN}) FROM wanted"
)


def next_turn(uow: UnitOfWork, share: str) -> int:
    """Say where a share's next run queues: behind its own open runs, level with the others' first.

    This is start-time fair queuing: whoever has much to do waits behind itself, not before others.
    """
    return uow.next_number(
        "turn", share, lambda: _last(*uow.connection.execute(_TURNS, {"share": share}).one())
    )


def read_turns(uow: UnitOfWork, shares: Iterable[str]) -> None:
    """Have `next_turn` know these shares' turns, by one statement for many of them."""
    wanted = sorted(set(shares))
    for start in range(0, len(wanted), AT_ONCE):
        some = wanted[start : start + AT_ONCE]
        some += some[-1:] * (AT_ONCE - len(some))
        for share, own, first in uow.connection.execute(
            _MANY_TURNS, dict(zip(_NAMES, some, strict=True))
        ):
            uow.preset_number("turn", share, _last(own, first))


def _last(own: int | None, first: int | None) -> int:
    return max(own or 0, (first or 1) - 1)
