"""Lists and the trail cost what they show, however much lies in the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from house import House
from sqlalchemy import Table, event, insert
from stories import story_of

from receiver.core.model import first_id
from receiver.ledger import tables
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.engine.sqlite import SqliteLedger
from receiver.ledger.queries import trail
from receiver.ledger.queries.fields import WHOLE
from receiver.ledger.queries.reader import EventFilters, Filters, Reader

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
    ("kind", "wanted", "index"),
    [
        ("syncs", Filters(), "syncs"),
        ("syncs", Filters(since=HOUR), "syncs"),
        ("syncs", Filters(application="argocd/shop"), "syncs_of_application"),
        ("syncs", Filters(states=("new",)), "syncs_new"),
        ("syncs", Filters(states=("ignored", "failed")), "syncs_left_out"),
        ("plans", Filters(), "plans"),
        ("plans", Filters(states=("held", "collecting")), "plans_by_state"),
        ("plans", Filters(states=("failed",)), "plans_by_state"),
        ("plans", Filters(rule="purge"), "plans_of_rule"),
        ("plans", Filters(application="argocd/shop"), "plans_of_application"),
        ("plans", Filters(sync="s-1"), "plans_of_sync"),
        ("runs", Filters(), "runs"),
        ("runs", Filters(states=("succeeded",), since=HOUR), "runs"),
        ("runs", Filters(states=("failed",)), "runs_by_state"),
        ("runs", Filters(states=("due", "pending")), "runs_by_state"),
        ("runs", Filters(rule="purge"), "runs_of_rule"),
        ("runs", Filters(handler="http.request"), "runs_of_handler"),
        ("runs", Filters(application="argocd/shop"), "plans_of_application"),
        ("runs", Filters(sync="s-1"), "plans_of_sync"),
        ("runs", Filters(plan="p-1"), "runs_of_plan"),
    ],
)
def test_a_list_reads_by_the_index_of_its_filter(
    file_ledger: SqliteLedger, kind: str, wanted: Filters, index: str
) -> None:
    """Or else by the primary key from the newest on, where a page is soon full."""
    with statements(file_ledger) as seen:
        getattr(Reader(file_ledger), kind)(wanted, limit=50)
    steps = plans(file_ledger, seen)
    assert any(f"INDEX {index} " in f"{step} " or f"_{index}_1" in step for step in steps), steps
    scans = [step for step in steps if step.startswith(f"SCAN {kind}")]
    assert all("USING" in step for step in scans), scans


def test_a_list_says_which_runs_have_failed_by_when_they_did(ledger: Ledger) -> None:
    """What is under way, or ended well, is as old as its making."""
    made, hours = first_id("r", 0), {"failed": 5, "skipped": 1, "succeeded": 5, "due": None}
    with ledger.write() as connection:
        connection.execute(insert(tables.plans), [row(tables.plans, id="p-1", targets="[]")])
        connection.execute(
            insert(tables.runs),
            [
                row(tables.runs, id=made + state, plan_id="p-1", state=state,
                    ended_at=None if number is None else number * HOUR)
                for state, number in hours.items()
            ],
        )  # fmt: skip
    reader = Reader(ledger)

    def found(**wanted: Any) -> list[str]:
        return [one["state"] for one in reader.runs(Filters(**wanted), limit=9)]

    assert found(states=("failed", "skipped"), since=2 * HOUR) == ["failed"]
    assert found(states=("failed", "skipped"), until=2 * HOUR) == ["skipped"]
    assert found(states=("succeeded", "due"), since=2 * HOUR) == []
    assert found(since=0, until=HOUR) == ["succeeded", "skipped", "failed", "due"]


def row(table: Table, **given: Any) -> dict[str, Any]:
    """Make a row of which only some columns matter."""
    blank = {int: 0, str: "", bool: False}
    return {
        column.name: given.get(
            column.name, None if column.nullable else blank[column.type.python_type]
        )
        for column in table.columns
    }


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
    page = Reader(ledger).trail(EventFilters(since=since), after=0, limit=500)
    assert [line["seq"] for line in page.events][:1] == ([] if first is None else [first])


def test_a_page_reads_so_many_lines_and_says_that_there_are_more(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever looks for what is rare comes back with an empty page, and goes on."""
    monkeypatch.setattr(trail, "SCANNED", 30)
    fill(ledger, 100)
    reader, after, seen, pages = Reader(ledger), 0, 0, 0
    while True:
        page = reader.trail(EventFilters(event="run.*"), after=after, limit=500)
        seen, after, pages = seen + len(page.events), page.next, pages + 1
        if not page.more:
            break
    assert (seen, after, pages) == (10, 100, 4)
    empty = reader.trail(EventFilters(event="run.*"), after=after, limit=500)
    assert (empty.events, empty.next, empty.more) == ([], 100, False)


def test_a_full_page_ends_where_its_last_line_is(ledger: Ledger) -> None:
    """The next one begins after it."""
    fill(ledger, 10)
    page = Reader(ledger).trail(EventFilters(), after=0, limit=4)
    assert (page.next, page.more) == (4, True)


def test_parameters_are_shown_with_the_references_to_secrets_that_the_rule_has(
    ledger: Ledger,
) -> None:
    """In lists, in stories and on the trail; a secret's value is nowhere."""
    house = House.of(
        ledger,
        """
- name: call
  match: {resources: [{kind: ConfigMap}]}
  actions:
  - uses: http.request
    suspend: true
    with:
      url: "https://cdn.example/${{ resource.name }}"
      headers:
        Authorization: {env: POSTSYNC_SECRET_CDN, format: "Bearer {}"}
        X-Api-Key: {file: cdn-key}
""",
    )
    sync = house.sync("a")
    house.turn()
    reader = Reader(ledger)
    wanted = {
        "Authorization": {"env": "POSTSYNC_SECRET_CDN", "format": "Bearer {}"},
        "X-Api-Key": {"file": "cdn-key"},
    }
    (row,) = reader.with_bulky("runs", reader.runs(limit=5), WHOLE)
    assert row["parameters"]["headers"] == wanted
    assert "secrets" not in row
    story = story_of(reader, sync)
    assert story
    assert story["plans"][0]["runs"][0]["parameters"] == row["parameters"]
    (held,) = house.events("run.held")
    assert held["parameters"] == row["parameters"]
