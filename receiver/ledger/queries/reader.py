"""Reads the ledger for the API, the probes and the metrics; nothing here writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from typing import TypeVar

from sqlalchemy import Connection, select

from receiver.ledger import tables
from receiver.ledger.binding import UNBOUND, Binding
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.queries.bulky import add_bulky
from receiver.ledger.queries.deliveries import (
    Kept,
    delivery_of,
    list_deliveries,
    read_deliveries,
)
from receiver.ledger.queries.excerpts import plan_excerpt, run_excerpt, sync_excerpt
from receiver.ledger.queries.fields import WHOLE, Fields
from receiver.ledger.queries.history import History, read_history
from receiver.ledger.queries.lists import (
    Filters,
    all_applications,
    list_plans,
    list_runs,
    list_syncs,
    newest_projects,
    newest_sync,
    with_held_runs,
)
from receiver.ledger.queries.metrics import Number, read_numbers
from receiver.ledger.queries.overview import read_connections, read_overview
from receiver.ledger.queries.overview_rows import ConnectionSeen, Overview
from receiver.ledger.queries.rows import (
    Pause,
    Plan,
    PlanExcerptStory,
    PlanStory,
    RulesStatus,
    Run,
    RunStory,
    SyncDetails,
    SyncExcerpt,
    SyncWithPlans,
)
from receiver.ledger.queries.rule_rows import RuleList
from receiver.ledger.queries.rules import read_rules
from receiver.ledger.queries.status import (
    DEAD_AFTER,
    NO_FILES,
    Readiness,
    list_pauses,
    read_readiness,
    rules_in_force,
)
from receiver.ledger.queries.story import Part, Place, plan_page, run_page, sync_page
from receiver.ledger.queries.told import told_pauses
from receiver.ledger.queries.trail import EventFilters, Page, read_trail
from receiver.ledger.queries.waits_for import add_plan_waits, add_unplanned_reasons, add_waits

__all__ = [
    "DEAD_AFTER", "WHOLE", "EventFilters", "Fields", "Filters", "Page", "Part", "Place", "Reader",
    "Readiness",
]  # fmt: skip

ALL = Filters()

R = TypeVar("R")


class Reader:
    """Reads one ledger; every method reads one consistent state.

    ``binding`` says what of it the asking token sees; what tells of the whole is refused to one
    that is bound.

    Raises:
        LedgerUnavailable: (every method) the ledger cannot be read.
        BeyondBinding: what is asked for is not for a bound token.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.binding = UNBOUND

    def within(self, binding: Binding) -> Reader:
        """Return who reads the same for a token of this binding."""
        bound = copy(self)
        bound.binding = binding
        return bound

    @contextmanager
    def _whole(self) -> Iterator[Connection]:
        """Read what tells of the whole."""
        if self.binding.bound:
            raise self.binding.refusal("this tells of the whole instance")
        with self._ledger.read() as connection:
            yield connection

    def syncs(
        self, wanted: Filters = ALL, *, limit: int, before: str = "", fields: Fields = WHOLE
    ) -> list[SyncWithPlans]:
        """List syncs, newest first, each with its plans; ``before`` is an id."""
        with self._ledger.read() as connection:
            rows = list_syncs(connection, wanted, limit, before, fields, self.binding)
            now = self._ledger.now(connection)
            add_unplanned_reasons(connection, now, rows, self.binding)
            add_plan_waits(connection, now, [plan for sync in rows for plan in sync["plans"]])
            return rows

    def plans(
        self, wanted: Filters = ALL, *, limit: int, before: str = "", fields: Fields = WHOLE
    ) -> list[Plan]:
        """List plans, newest first."""
        with self._ledger.read() as connection:
            rows = list_plans(connection, wanted, limit, before, self.binding)
            if "waitsFor" in fields:
                add_plan_waits(connection, self._ledger.now(connection), rows)
            return rows

    def with_held_runs(self, plans: Sequence[str]) -> set[str]:
        """Return those of the plans of which a run is held."""
        with self._ledger.read() as connection:
            return with_held_runs(connection, plans)

    def runs(
        self, wanted: Filters = ALL, *, limit: int, before: str = "", fields: Fields = WHOLE
    ) -> list[Run]:
        """List runs, newest first."""
        with self._ledger.read() as connection:
            rows = list_runs(connection, wanted, limit, before, self.binding)
            if "waitsFor" in fields:
                add_waits(connection, self._ledger.now(connection), rows, self.binding)
            return rows

    def with_bulky(self, kind: str, rows: Sequence[R], fields: Fields) -> list[R]:
        """Add what is bulky of ``plans`` or ``runs`` and wanted; return those that have room."""
        with self._ledger.read() as connection:
            return add_bulky(connection, tables.metadata.tables[kind], rows, fields)

    def trail(self, wanted: EventFilters, *, after: int, limit: int) -> Page:
        """Read the trail after a ``seq``, oldest first."""
        with self._ledger.read() as connection:
            return read_trail(connection, wanted, after, limit, self.binding)

    def sync_page(self, sync: str, part: Part) -> tuple[SyncDetails, Place | None] | None:
        """Return a page of a sync's story, and where the next one begins; None of no sync."""
        with self._ledger.read() as connection:
            page = sync_page(connection, sync, part, self.binding)
            if page is not None:
                found, now = page[0], self._ledger.now(connection)
                if "plans.runs.waitsFor" in part.fields:
                    runs = [run for plan in found["plans"] for run in plan["runs"]]
                    add_waits(connection, now, runs, self.binding)
                if "plans.waitsFor" in part.fields:
                    add_plan_waits(connection, now, found["plans"])
                add_unplanned_reasons(connection, now, [found], self.binding)
            return page

    def plan_page(self, plan: str, part: Part) -> tuple[PlanStory, Place | None] | None:
        """Return a page of a plan's story, and where the next one begins; None of no plan."""
        with self._ledger.read() as connection:
            page = plan_page(connection, plan, part, self.binding)
            if page is not None:
                found, now = page[0], self._ledger.now(connection)
                if "runs.waitsFor" in part.fields:
                    add_waits(connection, now, found["runs"], self.binding)
                if "waitsFor" in part.fields:
                    add_plan_waits(connection, now, [found])
            return page

    def run_page(self, run: str, part: Part) -> tuple[RunStory, Place | None] | None:
        """Return a page of a run's story, and where the next one begins; None of no run."""
        with self._ledger.read() as connection:
            page = run_page(connection, run, part, self.binding)
            if page is not None and "waitsFor" in part.fields:
                add_waits(connection, self._ledger.now(connection), [page[0]], self.binding)
            return page

    def sync_excerpt(self, sync: str, *, runs: int, lines: int) -> SyncExcerpt | None:
        """Return a sync with so many runs of each plan and last lines; None if there is none."""
        with self._ledger.read() as connection:
            found = sync_excerpt(connection, sync, runs, lines, self.binding)
            if found is not None:
                now = self._ledger.now(connection)
                add_waits(
                    connection,
                    now,
                    [run for plan in found["plans"] for run in plan["runs"]],
                    self.binding,
                )
                add_plan_waits(connection, now, found["plans"])
                add_unplanned_reasons(connection, now, [found], self.binding)
            return found

    def plan_excerpt(self, plan: str, *, runs: int, lines: int) -> PlanExcerptStory | None:
        """Return a plan with so many of its runs and last lines; None if there is none."""
        with self._ledger.read() as connection:
            found = plan_excerpt(connection, plan, runs, lines, self.binding)
            if found is not None:
                add_waits(connection, self._ledger.now(connection), found["runs"], self.binding)
                add_plan_waits(connection, self._ledger.now(connection), [found])
            return found

    def run_excerpt(self, run: str, *, lines: int) -> RunStory | None:
        """Return a run with its first and last attempts and last lines; None if there is none."""
        with self._ledger.read() as connection:
            found = run_excerpt(connection, run, lines, self.binding)
            if found is not None:
                add_waits(connection, self._ledger.now(connection), [found], self.binding)
            return found

    def deliveries(
        self, wanted: Filters = ALL, *, limit: int, before: str = "", fields: Fields = WHOLE
    ) -> tuple[list[Kept], bool]:
        """List deliveries with their notifications, newest first, and whether there are more."""
        with self._ledger.read() as connection:
            return list_deliveries(connection, wanted, limit, before, fields, self.binding)

    def delivery(self, wanted: str, *, fields: Fields = WHOLE) -> Kept | None:
        """Return one delivery, by its id or its sync's, or that of the newest sync: ``last``."""
        with self._ledger.read() as connection:
            found = delivery_of(connection, wanted, self.binding)
            ids = [found] if found else []
            return next(iter(read_deliveries(connection, ids, fields, self.binding)), None)

    def has(self, kind: str, wanted: str) -> bool:
        """Whether there is a ``sync``, a ``plan`` or a ``run`` of this id."""
        c, binding = tables.metadata.tables[f"{kind}s"].c, self.binding
        seen = binding.of_syncs(c.id) if kind == "sync" else binding.of_rules(c.rule)
        with self._ledger.read() as connection:
            return connection.scalar(select(c.id).where(c.id == wanted, *seen)) is not None

    def newest(self) -> str | None:
        """Return the id of the newest sync."""
        with self._ledger.read() as connection:
            found = connection.scalar(newest_sync(self.binding))
        return None if found is None else str(found)

    def applications(self) -> Sequence[str]:
        """List the Applications that syncs were of, as ``namespace/name``."""
        with self._ledger.read() as connection:
            return all_applications(connection, self.binding)

    def projects(self) -> Sequence[str]:
        """List the AppProjects that the newest syncs were of."""
        with self._ledger.read() as connection:
            return newest_projects(connection, self.binding)

    def readiness(self, owner: str = "") -> Readiness:
        """Try a write, and read what the dispatchers say of themselves, or the one of this name."""
        return read_readiness(self._ledger, owner)

    def rule_list(self, only: str = "") -> RuleList:
        """List the rules in force, or the one of a name, with what became of their plans."""
        with self._ledger.read() as connection:
            return read_rules(connection, self._ledger.now(connection), only, self.binding)

    def overview(self) -> tuple[Overview, list[ConnectionSeen]]:
        """Return the state of the whole, and how the connections to Argo CD do."""
        with self._whole() as connection:
            now = self._ledger.now(connection)
            return read_overview(connection, now), read_connections(connection, now)

    def history(self) -> tuple[History, History]:
        """Count the notifications and the runs of the last 24 hours, by the hour."""
        with self._whole() as connection:
            return read_history(connection, self._ledger.now(connection))

    def rules(self) -> RulesStatus:
        """Return which rules are in force, and whether the files were refused since.

        Of a bound token's rules none stands in a file.
        """
        if self.binding.bound:
            return NO_FILES
        with self._ledger.read() as connection:
            return rules_in_force(connection)

    def pauses(self) -> list[Pause]:
        """List what is paused, the oldest first."""
        with self._ledger.read() as connection:
            return told_pauses(list_pauses(connection), self.binding)

    def counters(self) -> list[Number]:
        """Return the metrics of the ledger: counted ones, and gauges over what is open."""
        with self._whole() as connection:
            return read_numbers(connection, self._ledger.now(connection))
