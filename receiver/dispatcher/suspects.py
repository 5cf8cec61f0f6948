"""Chooses what is planned next, and keeps what a process may have died of from the rest.

Guarantee: a sync, a step or a replay of which `DEATHS` processes in a row have died is planned no
more. It holds because what is begun is in the ledger before, by a transaction that outlives the
process; and because what is left over there is begun alone, in turns with the rest: so it holds
nobody up, and however much there is of the rest, it has its turn.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Protocol, TypeVar

from sqlalchemy import Connection

from receiver.ledger.engine.ledger import Ledger, LockMode
from receiver.ledger.plans.planning_attempts import begin, left_over, strike

DEATHS = 3
"""One may be chance, a kill or a node that is gone; three in a row at the same thing are none."""


class Named(Protocol):
    """What can be begun."""

    @property
    def id(self) -> str:
        """Its id in the ledger."""
        ...


T = TypeVar("T", bound=Named)

Look = Callable[[Collection[str], Collection[str] | None], Sequence[T]]
"""Reads what is to be planned: without these, and only of those if they are given."""


class Suspects:
    """What one dispatcher has begun, and what others have left."""

    def __init__(self, ledger: Ledger, owner: str) -> None:
        self._ledger = ledger
        self._owner = owner
        self._after_rest: set[str] = set()

    def choose(self, connection: Connection, kind: str, look: Look[T]) -> tuple[Sequence[T], str]:
        """Return what to plan now, and why the one thing of it is given up, "" if it is not.

        Args:
            connection: sees what is to be planned.
            kind: of what is looked for; each takes turns of its own.
            look: see `Look`.
        """
        known = left_over(connection, self._owner)
        picks = [partial(look, known, None), partial(_suspect, look, known)]
        if kind in self._after_rest:
            picks.reverse()
        chosen = picks[0]() or picks[1]()
        suspected = bool(chosen) and chosen[0].id in known
        (self._after_rest.discard if suspected else self._after_rest.add)(kind)
        if suspected and known[chosen[0].id] >= DEATHS:
            return chosen, f"{DEATHS} processes in a row ended while they planned it"
        if chosen:
            with self._ledger.write(LockMode.APPEND, survives="process") as writing:
                begin(writing, self._owner, [one.id for one in chosen])
        return chosen, ""

    def clear(self, connection: Connection) -> None:
        """Strike out all that was begun, in the transaction that stores what came of it."""
        strike(connection, self._owner)


def _suspect(look: Look[T], known: Mapping[str, int]) -> Sequence[T]:
    """Return the one of which the fewest processes have died, the oldest of those."""
    found = look((), known) if known else ()
    return sorted(found, key=lambda one: (known[one.id], one.id))[:1]
