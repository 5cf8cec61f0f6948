"""Says where a run queues when it becomes due."""

from __future__ import annotations

from sqlalchemy import text

from receiver.ledger import tables
from receiver.ledger.batch import Batch

_OWN_TURN = text(f"SELECT MAX(turn) FROM runs WHERE share = :share AND {tables.OPEN_RUN}")
_FIRST_TURN = text(f"SELECT MIN(turn) FROM runs WHERE {tables.READY_RUN}")


def next_turn(batch: Batch, share: str) -> int:
    """Say where a share's next run queues: behind its own open runs, level with the others' first.

    This is start-time fair queuing: whoever has much to do waits behind itself, not before others.
    """

    def last() -> int:
        own = batch.connection.scalar(_OWN_TURN, {"share": share})
        first = batch.connection.scalar(_FIRST_TURN)
        return max(own or 0, (first or 1) - 1)

    return batch.number("turn", share, last)
