"""Chooses what is planned next, and sets aside what kills the process that plans it.

Guarantee: a sync, a step or a replay of which `MAX_DEATHS` processes in a row have died is no
longer planned. It holds because what is begun is in the ledger before, by a transaction that
outlives the process; and because what a dead process left there is begun alone, alternating with
the rest: so it holds nothing up, and its turn comes however much there is of the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Protocol, TypeVar

from sqlalchemy import Connection

from receiver.ledger.engine.ledger import Ledger, LockMode
from receiver.ledger.plans.planning_attempts import delete_own, left_by_others, record_start

MAX_DEATHS = 3
"""One may be chance, a kill or a lost node; three in a row while planning the same are not."""


class Named(Protocol):
    """What can be begun."""

    @property
    def id(self) -> str:
        """Its id in the ledger."""
        ...


T = TypeVar("T", bound=Named)

Query = Callable[[Collection[str], Collection[str] | None], Sequence[T]]
"""Reads what is to be planned, without the first ids, and only the second if they are given."""


class PoisonGuard:
    """Records what this dispatcher begins to plan, and counts who died of it before."""

    def __init__(self, ledger: Ledger, owner: str) -> None:
        self._ledger = ledger
        self._owner = owner
        self._after_rest: set[str] = set()

    def choose(self, connection: Connection, kind: str, query: Query[T]) -> tuple[Sequence[T], str]:
        """Return what to plan now, and "" or why the single item of it is given up.

        Args:
            connection: sees what is to be planned.
            kind: what is queried; each kind alternates on its own.
            query: see `Query`.
        """
        known = left_by_others(connection, self._owner)
        picks = [partial(query, known, None), partial(_suspect, query, known)]
        if kind in self._after_rest:
            picks.reverse()
        chosen = picks[0]() or picks[1]()
        suspected = bool(chosen) and chosen[0].id in known
        (self._after_rest.discard if suspected else self._after_rest.add)(kind)
        if suspected and known[chosen[0].id] >= MAX_DEATHS:
            return chosen, f"{MAX_DEATHS} processes in a row ended while they planned it"
        if chosen:
            with self._ledger.write(LockMode.APPEND, survives="process") as writing:
                record_start(writing, self._owner, [one.id for one in chosen])
        return chosen, ""

    def clear(self, connection: Connection) -> None:
        """Delete the record of what was begun, in the transaction that stores what came of it."""
        delete_own(connection, self._owner)


def _suspect(query: Query[T], known: Mapping[str, int]) -> Sequence[T]:
    """Return the one of which the fewest processes have died, the oldest of those."""
    found = query((), known) if known else ()
    return sorted(found, key=lambda one: (known[one.id], one.id))[:1]
