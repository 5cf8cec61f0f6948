"""Finds statements of ours that read the whole of a table that grows with all that ever happened.

How an engine goes about a statement is asked where a test has it executed first. SQLite would do
the same at any size, since it keeps no statistics of ours (`receiver.ledger.engine.statistics`).
PostgreSQL goes by what it has counted; it is asked whether an index would do.
"""

from __future__ import annotations

import re
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from receiver.ledger import tables

ROOT = Path(__file__).parents[1]
GROWING = frozenset({
    "deliveries", "syncs", "reaches", "plans", "plan_syncs", "runs", "attempts", "replays",
    "audit_events", "messages", "memories", "field_values", "missed_operations",
})  # fmt: skip
"""Tables of what has happened, and of each Application."""

OPEN = frozenset(
    str(index.name)
    for table in tables.metadata.sorted_tables
    for index in table.indexes
    if re.search(r"= |IN |IS NULL|NOT ready|> 0", str(index.dialect_options["sqlite"]["where"]))
)
"""Indexes of what is new, open or alone: each may be read as a whole."""

QUERIES = "receiver/ledger/queries/"
NEWEST = frozenset({"wording_of", "examine"})
"""Functions that take the newest row, of a sender that has some or of all, by LIMIT 1."""

Whole = Callable[[str, Any], list[str]]
"""Returns the steps by which a statement with such values reads a whole growing table."""

_known: set[tuple[str, str]] = set()


@contextmanager
def none_read(engine: Engine, whole: Whole) -> Iterator[None]:
    """Fail after the block if it had a whole growing table read."""
    new: dict[str, tuple[Any, tuple[str, str]]] = {}

    def note(_c: object, _cursor: object, statement: str, values: Any, *_: object) -> None:
        if (engine.name, statement) not in _known:
            _known.add((engine.name, statement))
            if READS.match(statement) and (where := _ours()) is not None:
                new[statement] = (values[0] if isinstance(values, list) else values), where

    event.listen(engine, "before_cursor_execute", note)
    yield
    event.remove(engine, "before_cursor_execute", note)
    found = [
        f"{file}, {function}: {step}: {statement}"
        for statement, (values, (file, function)) in new.items()
        for step in whole(statement, values)
        if not by_page(file, statement, step) and function not in NEWEST
    ]
    assert not found, "\n".join(found)


def by_page(file: str, statement: str, step: str) -> bool:
    """Whether a list goes from the newest row on until a page is full; these have own tests."""
    return file.startswith(QUERIES) and "LIMIT" in statement and "USING" in step


READS = re.compile(r"\s*(SELECT|WITH|UPDATE|DELETE|INSERT)")


def on_sqlite(ledger: Path) -> Whole:
    """As SQLite tells by a ledger's file; values make no difference to it."""

    def whole(statement: str, _: object = None) -> list[str]:
        with closing(sqlite3.connect(ledger)) as file:
            values = [None] * statement.count("?")
            steps = file.execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall()
        return [step for *_, step in steps if _is_whole(step)]

    return whole


def on_postgresql(engine: Engine) -> Whole:
    """As PostgreSQL tells where it does without an index only if there is none that helps."""

    def whole(statement: str, values: Any) -> list[str]:
        with engine.connect() as connection:
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
            if values is None:  # as it is planned for any
                connection.exec_driver_sql("SET LOCAL plan_cache_mode = force_generic_plan")
                numbered, count = _numbered(statement)
                connection.exec_driver_sql(f"PREPARE looked_at AS {numbered}")
                given = f" ({', '.join(['NULL'] * count)})" if count else ""
                steps = connection.exec_driver_sql(f"EXPLAIN EXECUTE looked_at{given}").scalars()
            else:
                steps = connection.exec_driver_sql(f"EXPLAIN {statement}", values).scalars()
            found = [re.search(r"Seq Scan on (\w+)", step) for step in steps]
            connection.exec_driver_sql("DEALLOCATE ALL")
            connection.rollback()
        return [one[0] for one in found if one and one[1] in GROWING]

    return whole


def _numbered(statement: str) -> tuple[str, int]:
    """Return a statement with its parameters as PostgreSQL itself writes them, and their number."""
    names = list(dict.fromkeys(re.findall(r"%\((\w+)\)s", statement)))
    for number, name in enumerate(names, 1):
        statement = statement.replace(f"%({name})s", f"${number}")
    return statement, len(names)


def _is_whole(step: str) -> bool:
    found = re.match(r"SCAN (\w+)(?: USING (?:COVERING )?INDEX (\w+))?", step)
    return found is not None and found[1] in GROWING and found[2] not in OPEN


def _ours() -> tuple[str, str] | None:
    """Return the file and function of ours that executes a statement, None if a test does."""
    frame: Any = sys._getframe(2)
    while frame is not None:
        file = Path(frame.f_code.co_filename)
        if file.is_relative_to(ROOT / "receiver"):
            return str(file.relative_to(ROOT)), frame.f_code.co_name
        if file.is_relative_to(ROOT / "tests"):
            return None
        frame = frame.f_back
    return None
