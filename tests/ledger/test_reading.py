"""Lists and the trail cost what they show, however much lies in the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event, insert

from receiver.ledger import tables
from receiver.ledger.connect import Ledger
from receiver.ledger.reader import Filters, Reader, Wanted
from receiver.ledger.reading import trail

HOUR = 3_600_000


@contextmanager
def statements(ledger: Ledger) -> Iterator[list[tuple[str, Any]]]:
    """Collect what is executed."""
    seen: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        seen.append((statement, parameters))

    event.listen(ledger.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(ledger.engine, "before_cursor_execute", note)


def plans(ledger: Ledger, seen: list[tuple[str, Any]]) -> list[str]:
    """How SQLite goes about the statements that read."""
    found = []
    with ledger.read() as connection:
        for statement, parameters in seen:
            if statement.startswith(("SELECT", "WITH")):
                rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
                found += [row[3] for row in rows]
    return found


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        ("syncs", Filters()),
        ("syncs", Filters(application="shop")),
        ("syncs", Filters(since=HOUR)),
        ("plans", Filters(states=("held", "collecting"))),
        ("plans", Filters(rule="purge")),
        ("plans", Filters(sync="s-1")),
        ("runs", Filters()),
        ("runs", Filters(states=("failed",), since=HOUR)),
        ("runs", Filters(rule="purge")),
        ("runs", Filters(plan="p-1")),
    ],
)
def test_a_list_reads_by_an_index(ledger: Ledger, kind: str, wanted: Filters) -> None:
    """Either the one that its filter needs, or the primary key from the newest on."""
    with statements(ledger) as seen:
        getattr(Reader(ledger), kind)(wanted, limit=50)
    scans = [line for line in plans(ledger, seen) if line.startswith("SCAN")]
    allowed = ("USING", "CONSTANT", "SCAN names", "(subquery")  # the last: an empty IN ()
    assert [line for line in scans if not any(word in line for word in allowed)] == []


def fill(ledger: Ledger, number: int) -> None:
    rows = [
        {"seq": n + 1, "at": n * 1000, "name": "run.failed" if n % 10 == 0 else "x.y", "data": "{}"}
        for n in range(number)
    ]
    with ledger.write() as connection:
        connection.execute(insert(tables.audit_events), rows)


@pytest.mark.parametrize(("since", "first"), [(0, 1), (5_500, 7), (99_000, 100), (200_000, None)])
def test_the_trail_begins_at_a_time_that_is_found_by_halving(
    ledger: Ledger, since: int, first: int | None
) -> None:
    """The first line is the oldest that is not older."""
    fill(ledger, 100)
    page = Reader(ledger).trail(Wanted(since=since), after=0, limit=500)
    assert [line["seq"] for line in page.events][:1] == ([] if first is None else [first])


def test_a_page_looks_at_so_many_lines_and_says_that_there_are_more(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever looks for what is rare comes back with an empty page, and goes on."""
    monkeypatch.setattr(trail, "LOOKED_AT", 30)
    fill(ledger, 100)
    reader, after, seen, pages = Reader(ledger), 0, 0, 0
    while True:
        page = reader.trail(Wanted(event="run.*"), after=after, limit=500)
        seen, after, pages = seen + len(page.events), page.next, pages + 1
        if not page.more:
            break
    assert (seen, after, pages) == (10, 100, 4)
    empty = reader.trail(Wanted(event="run.*"), after=after, limit=500)
    assert (empty.events, empty.next, empty.more) == ([], 100, False)


def test_a_full_page_ends_where_its_last_line_is(ledger: Ledger) -> None:
    """The next one begins after it."""
    fill(ledger, 10)
    page = Reader(ledger).trail(Wanted(), after=0, limit=4)
    assert (page.next, page.more) == (4, True)
