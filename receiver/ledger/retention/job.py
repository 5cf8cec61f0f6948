"""One round of retention: slice after slice, each a short transaction of its own.

What a slice deletes is counted in its own transaction, in a key-value; the end of the round turns
that into one line of the trail. If the process dies in between, the next round's line has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from sqlalchemy import Connection, delete

from receiver.core.model import Event, from_ms, rfc3339
from receiver.ledger import tables
from receiver.ledger.audit.key_values import get_value, put_value
from receiver.ledger.audit.trail import add_counts, append_events, labels
from receiver.ledger.engine.ledger import Ledger, LockMode
from receiver.ledger.retention.delete import (
    Counts,
    count_alone,
    delete_idle,
    delete_lines,
    delete_refused,
    delete_rule_sets,
    delete_syncs,
    has_idle,
    old_lines,
    old_refused,
    surplus_lines,
    surplus_refused,
    unused_rule_sets,
)
from receiver.ledger.retention.policy import PRUNED, Limits, Policy, count_syncs, examine, limits

T = TypeVar("T")

_Choose = Callable[[Connection, Limits], Sequence[T]]
_Delete = Callable[[Connection, Sequence[T], Limits], Counts]

UNREPORTED = "pruned"
"""The key of what was deleted and is not on the trail yet: rows by table."""

_WORDS = {
    "syncs": "syncs", "deliveries": "deliveries", "replays": "replays", "plans": "plans",
    "runs": "runs", "attempts": "attempts", "audit_events": "events", "messages": "messages",
    "rule_sets": "ruleSets",
}  # fmt: skip
"""The keys of the trail's event by table."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What would be deleted, by the event's keys; how many syncs were examined, and are stored."""

    goes: Mapping[str, int] = field(default_factory=dict)
    examined: int = 0
    stored: int = 0


def by_event_key(counts: Mapping[str, int]) -> dict[str, int]:
    """Return the counts of tables by the keys of the trail's event."""
    return {word: counts[name] for name, word in _WORDS.items() if counts.get(name)}


class RetentionJob:
    """Deletes what a policy does not keep, once through the ledger.

    Args:
        ledger: beside whatever else writes to it.
        policy: what stays.
    """

    def __init__(self, ledger: Ledger, policy: Policy) -> None:
        self._ledger = ledger
        self._policy = policy

    def slices(self) -> Iterator[Counts]:
        """Delete a slice and yield its counts; between two, the ledger is free for others.

        Raises:
            LedgerUnavailable: the ledger took no write; the slices before it are done.
        """
        yield from self._syncs()
        yield from self._all(old_refused, delete_refused)
        yield from self._all(surplus_refused, delete_refused)
        yield from self._all(old_lines, delete_lines)
        yield from self._all(surplus_lines, delete_lines)
        self._delete_idle()
        yield from self._all(unused_rule_sets, delete_rule_sets)

    def record(self, by: str) -> tuple[Event, int] | None:
        """Append what was deleted to the trail, if anything was.

        Args:
            by: who had it deleted.

        Returns:
            The line, and its time in milliseconds.
        """
        with self._ledger.read() as connection:
            if get_value(connection, UNREPORTED) is None:
                return None
        with self._ledger.write() as connection:
            now = self._ledger.now(connection)
            deleted = get_value(connection, UNREPORTED)
            if deleted is None:
                return None  # another process has recorded it meanwhile
            before = rfc3339(from_ms(self._limits(connection).before))
            event = Event("ledger.pruned", {"by": by, "before": before, **by_event_key(deleted)})
            append_events(connection, now, [event])
            connection.execute(
                delete(tables.key_values).where(tables.key_values.c.name == UNREPORTED)
            )
        return event, now

    def preview(self) -> Iterator[Preview]:
        """Count, without a lock, what would be deleted; the last preview is complete."""
        with self._ledger.read() as connection:
            limit, there = self._limits(connection), count_syncs(connection)
            alone = count_alone(connection, limit)
        after: str | None = ""
        syncs = examined = 0
        while after is not None:
            with self._ledger.read() as connection:
                left = replace(limit, surplus=max(0, limit.surplus - syncs))
                seen = examine(connection, left, after)
            syncs, examined, after = syncs + len(seen.syncs), examined + seen.examined, seen.last
            yield Preview({"syncs": syncs, **alone}, examined, there)

    def _limits(self, connection: Connection) -> Limits:
        return limits(connection, self._ledger.now(connection), self._policy)

    def _syncs(self) -> Iterator[Counts]:
        after: str | None = ""
        while after is not None:
            with self._ledger.read() as connection:
                limit = self._limits(connection)
                seen = examine(connection, limit, after)
            after = seen.last
            if seen.syncs:
                yield self._slice(delete_syncs, seen.syncs, limit)

    def _all(self, choose: _Choose[T], delete_them: _Delete[T]) -> Iterator[Counts]:
        """Delete slices of what is chosen, until there is none; choosing takes no lock."""
        while True:
            with self._ledger.read() as connection:
                limit = self._limits(connection)
                chosen = choose(connection, limit)
            if not chosen:
                return
            yield self._slice(delete_them, chosen, limit)

    def _delete_idle(self) -> None:
        with self._ledger.read() as connection:
            limit = self._limits(connection)
            if not has_idle(connection, limit):
                return
        with self._ledger.write(LockMode.SHARED) as connection:
            delete_idle(connection, limit)

    def _slice(self, delete_them: _Delete[T], chosen: Sequence[T], limit: Limits) -> Counts:
        with self._ledger.write() as connection:
            done = delete_them(connection, chosen, limit)
            if done:
                by_table = {(PRUNED, labels(table=name)): number for name, number in done.items()}
                add_counts(connection, by_table)
                put_value(
                    connection, UNREPORTED, done + Counts(get_value(connection, UNREPORTED) or {})
                )
        return done
