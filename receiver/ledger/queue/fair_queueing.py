"""Start-time fair queueing: where a run queues when it becomes due.

A flow is a rule with an Application. A run's virtual time lies behind those of its own flow and
level with the first of the others: a flow with much to do waits behind itself, not before others.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import text

from receiver.ledger import tables
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.prepared import Prepared

AT_ONCE = 32
"""Flows that one statement reads: always as many, so that it is prepared only once."""

_NAMES = [f"flow_{number}" for number in range(AT_ONCE)]
_LAST = Prepared(
    text(
        "WITH wanted (flow) AS (VALUES " + ", ".join(f"(:{name})" for name in _NAMES) + ")"
        " SELECT wanted.flow,"
        f" (SELECT MAX(virtual_time) FROM runs WHERE flow = wanted.flow AND {tables.QUEUED_RUN}),"
        f" (SELECT MIN(virtual_time) FROM runs WHERE {tables.READY_RUN}) FROM wanted"
    )
)


def next_virtual_time(uow: UnitOfWork, flow: str) -> int:
    """Return the virtual time of a flow's next run."""
    return uow.next_number("virtual_time", flow, lambda: _read(uow, [flow])[flow])


def load_virtual_times(uow: UnitOfWork, flows: Iterable[str]) -> None:
    """Read what `next_virtual_time` needs for these flows, by one statement for many of them."""
    wanted = sorted(set(flows))
    for start in range(0, len(wanted), AT_ONCE):
        for flow, last in _read(uow, wanted[start : start + AT_ONCE]).items():
            uow.preset_number("virtual_time", flow, last)


def _read(uow: UnitOfWork, flows: Sequence[str]) -> dict[str, int]:
    """Return the virtual time behind which each of at most `AT_ONCE` flows queues."""
    filled = [*flows, *[flows[-1]] * (AT_ONCE - len(flows))]
    rows = _LAST.all(uow.connection, **dict(zip(_NAMES, filled, strict=True)))
    return {flow: max(own or 0, (first or 1) - 1) for flow, own, first in rows}
