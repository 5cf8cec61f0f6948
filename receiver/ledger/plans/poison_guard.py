"""Chooses what is planned next, and sets aside what kills the process that plans it.

Guarantee: a sync, a step or a replay of which `MAX_DEATHS` processes in a row have died is no
longer planned, nor are a sync's objects read. It holds because what is begun is in the ledger
before, by a transaction that outlives the process; and because what a dead process left there is
begun alone, alternating with the rest: so it holds nothing up, and its turn comes however much
there is of the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Protocol, TypeVar

from sqlalchemy import Connection, bindparam, delete, select, text

from receiver.ledger import tables
from receiver.ledger.engine.ledger import Ledger, LockMode
from receiver.ledger.prepared import Prepared

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
    """Records what this dispatcher begins to plan, and counts who died of it before.

    Args:
        ledger: outlives the process.
        owner: names the process, and what it does.
        work: what it does, for people.
    """

    def __init__(self, ledger: Ledger, owner: str, work: str = "planned it") -> None:
        self._ledger = ledger
        self._owner = owner
        self._work = work
        self._after_rest: set[str] = set()

    def choose(self, connection: Connection, kind: str, query: Query[T]) -> tuple[Sequence[T], str]:
        """Return what to plan now, and "" or why the single item of it is given up.

        Args:
            connection: sees what is to be planned.
            kind: what is queried; each kind alternates on its own.
            query: see `Query`.
        """
        known = _left_by_others(connection, self._owner)
        picks = [partial(query, known, None), partial(_suspect, query, known)]
        if kind in self._after_rest:
            picks.reverse()
        chosen = picks[0]() or picks[1]()
        suspected = bool(chosen) and chosen[0].id in known
        (self._after_rest.discard if suspected else self._after_rest.add)(kind)
        if suspected and known[chosen[0].id] >= MAX_DEATHS:
            return chosen, f"{MAX_DEATHS} processes in a row ended while they {self._work}"
        if chosen:
            with self._ledger.write(LockMode.APPEND, survives="process") as writing:
                record_start(writing, self._owner, [one.id for one in chosen])
        return chosen, ""

    def clear(self, connection: Connection) -> None:
        """Delete the record of what was begun, in the transaction that stores what came of it."""
        _CLEAR.run(connection, [{"by": self._owner}])

    def release(self, ids: Iterable[str]) -> None:
        """Record that these were not begun after all."""
        with self._ledger.write(LockMode.APPEND, survives="process") as writing:
            self.clear_some(writing, ids)

    def clear_some(self, connection: Connection, ids: Iterable[str]) -> None:
        """Delete it of these alone, whoever began them; as `clear`."""
        rows = [{"one": one} for one in ids]
        if rows:
            _CLEAR_SOME.run(connection, rows)


def _suspect(query: Query[T], known: Mapping[str, int]) -> Sequence[T]:
    """Return the one of which the fewest processes have died, the oldest of those."""
    found = query((), known) if known else ()
    return sorted(found, key=lambda one: (known[one.id], one.id))[:1]


_T = tables.planning_attempts.c
_OTHERS = Prepared(select(_T.id, _T.attempts).where(_T.owner != bindparam("by")))
_CLEAR = Prepared(delete(tables.planning_attempts).where(_T.owner == bindparam("by")))
_CLEAR_SOME = Prepared(delete(tables.planning_attempts).where(_T.id == bindparam("one")))
_START = Prepared(
    text(
        "INSERT INTO planning_attempts (id, owner, attempts) VALUES (:id, :owner, 1) "
        "ON CONFLICT (id) DO UPDATE SET "
        "attempts = planning_attempts.attempts + "
        "CASE WHEN planning_attempts.owner = excluded.owner THEN 0 ELSE 1 END, "
        "owner = excluded.owner"
    )
)


def _left_by_others(connection: Connection, owner: str) -> dict[str, int]:
    """Return the ids that other processes began and did not end, and how many processes each."""
    return dict(_OTHERS.all(connection, by=owner))


def record_start(connection: Connection, owner: str, ids: Iterable[str]) -> None:
    """Record that this dispatcher begins to plan these syncs, plans or replays."""
    rows = [{"id": one, "owner": owner} for one in ids]
    if rows:
        _START.run(connection, rows)
