"""Answers the questions of people; nothing here writes."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, func, select

from receiver.ledger import tables
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.queries.details import plan_story, run_story, sync_story
from receiver.ledger.queries.lists import (
    Filters,
    all_applications,
    list_plans,
    list_runs,
    list_syncs,
)
from receiver.ledger.queries.rows import Row
from receiver.ledger.queries.status import (
    SILENCE,
    Gauge,
    Readiness,
    list_pauses,
    read_counters,
    read_readiness,
    rules_in_force,
)
from receiver.ledger.queries.trail import Page, Wanted, read_trail
from receiver.ledger.queries.unplanned import tell_unplanned
from receiver.ledger.queries.waits_for import tell_waits

__all__ = ["SILENCE", "Filters", "Page", "Reader", "Readiness", "Row", "Wanted"]

ALL = Filters()


class Reader:
    """Answers questions. Every method reads one consistent state.

    Raises:
        LedgerUnavailable: (every method) the ledger cannot be read.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def syncs(self, wanted: Filters = ALL, *, limit: int, before: str = "") -> list[Row]:
        """List syncs, newest first, each with its plans; ``before`` is an id."""
        with self._ledger.read() as connection:
            rows = list_syncs(connection, wanted, limit, before)
            return tell_unplanned(connection, self._ledger.now(connection), rows)

    def plans(self, wanted: Filters = ALL, *, limit: int, before: str = "") -> list[Row]:
        """List plans, newest first."""
        with self._ledger.read() as connection:
            return list_plans(connection, wanted, limit, before)

    def runs(self, wanted: Filters = ALL, *, limit: int, before: str = "") -> list[Row]:
        """List runs, newest first."""
        with self._ledger.read() as connection:
            rows = list_runs(connection, wanted, limit, before)
            return tell_waits(connection, self._ledger.now(connection), rows)

    def trail(self, wanted: Wanted, *, after: int, limit: int) -> Page:
        """Read the trail after a ``seq``, oldest first."""
        with self._ledger.read() as connection:
            return read_trail(connection, wanted, after, limit)

    def sync(self, sync: str) -> Row | None:
        """Tell one sync's story; None if there is no such sync."""
        with self._ledger.read() as connection:
            story = sync_story(connection, sync)
            now = self._ledger.now(connection)
            if story is None:
                return None
            plans = self._with_waits(connection, story["plans"])
            return tell_unplanned(connection, now, [story | {"plans": plans}])[0]

    def plan(self, plan: str) -> Row | None:
        """Tell one plan's story; None if there is no such plan."""
        with self._ledger.read() as connection:
            story = plan_story(connection, plan)
            return self._with_waits(connection, [story])[0] if story else None

    def run(self, run: str) -> Row | None:
        """Tell one run's story; None if there is no such run."""
        with self._ledger.read() as connection:
            story = run_story(connection, run)
            now = self._ledger.now(connection)
            return tell_waits(connection, now, [story])[0] if story else None

    def _with_waits(self, connection: Connection, plans: Sequence[Row]) -> list[Row]:
        """Say of the runs of plans what they wait for."""
        now = self._ledger.now(connection)
        runs = tell_waits(connection, now, [run for plan in plans for run in plan["runs"]])
        by_id = {run["id"]: run for run in runs}
        return [plan | {"runs": [by_id[run["id"]] for run in plan["runs"]]} for plan in plans]

    def has(self, kind: str, wanted: str) -> bool:
        """Whether there is a ``sync``, a ``plan`` or a ``run`` of this id."""
        table = tables.metadata.tables[f"{kind}s"]
        with self._ledger.read() as connection:
            return connection.scalar(select(table.c.id).where(table.c.id == wanted)) is not None

    def newest(self) -> str | None:
        """Return the id of the newest sync."""
        with self._ledger.read() as connection:
            found = connection.scalar(select(func.max(tables.syncs.c.id)))
        return None if found is None else str(found)

    def applications(self) -> Sequence[str]:
        """List the Applications that syncs were of, as ``namespace/name``."""
        with self._ledger.read() as connection:
            return all_applications(connection)

    def readiness(self, owner: str = "") -> Readiness:
        """Try a write, and read what the dispatchers say of themselves, or the one of this name."""
        return read_readiness(self._ledger, owner)

    def rules(self) -> Row:
        """Tell which rules are in force, and whether the files were refused since."""
        with self._ledger.read() as connection:
            return rules_in_force(connection)

    def pauses(self) -> list[Row]:
        """List what is paused, the oldest first."""
        with self._ledger.read() as connection:
            return list_pauses(connection)

    def counters(self) -> list[Gauge]:
        """Return the dispatcher's metrics: counted ones, and gauges over what is open."""
        with self._ledger.read() as connection:
            return read_counters(connection, self._ledger.now(connection))
