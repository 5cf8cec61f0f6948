"""Signals that something has happened to a plan, so that its next step is to be worked out.

A step is worked out without a lock, from what a dispatcher has read. It is stored only if no
signal came since then, and takes back only those that were read: whatever happens in between, or in
the transaction that stores the step, leaves a signal for the next one.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import bindparam, select, update

from receiver.ledger import tables
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.prepared import Prepared, any_of

_P = tables.plans.c
_SIGNAL = update(tables.plans).where(_P.id == bindparam("plan")).values(signals=_P.signals + 1)
_CONSUME = (
    update(tables.plans)
    .where(_P.id == bindparam("plan"))
    .values(signals=_P.signals - bindparam("seen"))
)
_UNCONSUMED = Prepared(select(_P.id, _P.signals).where(any_of(_P.id, "plans")))


def signal(uow: UnitOfWork, plan: str) -> None:
    """Have a plan's next step worked out; one that is being worked out now is not stored."""
    uow.add(_SIGNAL, {"plan": plan})


def consume(uow: UnitOfWork, plan: str, seen: int) -> None:
    """Take back the signals that were seen by the step that is stored."""
    uow.add(_CONSUME, {"plan": plan, "seen": seen})


def unconsumed(uow: UnitOfWork, plans: Collection[str]) -> dict[str, int]:
    """Return the number of signals of each plan that nobody has consumed."""
    return dict(_UNCONSUMED.all(uow.connection, plans=plans))
