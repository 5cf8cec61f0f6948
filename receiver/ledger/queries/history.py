"""How many notifications came in each of the last 24 hours, and what became of the runs.

Counted by the time that is in the primary keys, the newest first, so many rows at most: the cost
never grows with the history.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from receiver.core.model import first_id, made_at
from receiver.notification.own import OWN_CHANNEL

HOURS = 24
HOUR_MS = 3_600_000

MOST_DELIVERIES = 10_000
MOST_RUNS = 20_000
"""Rows that are counted at most: so many take a twentieth of a second."""

START = 8
"""Letters of an id whose time is that of the other letters to 33 seconds."""


@dataclass(frozen=True, slots=True)
class History:
    """What there was in each hour.

    Attributes:
        hours: begin of each hour in milliseconds, and counts by word; the oldest first.
        since: what was made earlier is not counted, in milliseconds; None if all of it is.
    """

    hours: Sequence[tuple[int, Mapping[str, int]]]
    since: int | None


def read_history(connection: Connection, now: int) -> tuple[History, History]:
    """Read deliveries by their verdicts and runs by their states; ``now`` in milliseconds.

    What Postsync itself has told did not come from anywhere.
    """
    came = f"deliveries WHERE channel <> '{OWN_CHANNEL}' AND"
    return (
        _count(connection, came, "verdict", MOST_DELIVERIES, now),
        _count(connection, "runs WHERE", "state", MOST_RUNS, now),
    )


def _count(connection: Connection, rows: str, word: str, most: int, now: int) -> History:
    query = text(
        "SELECT start, word, COUNT(*) AS n, MIN(id) AS oldest FROM ("
        f"  SELECT id, substr(id, 1, {START}) AS start, {word} AS word FROM {rows} "
        "  id >= :since ORDER BY id DESC LIMIT :most) AS newest "
        "GROUP BY start, word"
    )
    first = now // HOUR_MS - HOURS + 1
    counts: list[Counter[str]] = [Counter() for _ in range(HOURS)]
    since = {"since": first_id(rows[0], first * HOUR_MS), "most": most}
    found = connection.execute(query, since).all()
    for row in found:
        hour = min(max(made_at(row.oldest) // HOUR_MS - first, 0), HOURS - 1)
        counts[hour][row.word] += row.n
    cut = sum(row.n for row in found) == most
    return History(
        [((first + number) * HOUR_MS, one) for number, one in enumerate(counts)],
        made_at(min(row.oldest for row in found)) if cut else None,
    )
