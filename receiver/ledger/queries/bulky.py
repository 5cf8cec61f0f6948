"""What is bulky of rows: read after them, where it is wanted, and as much as an answer has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from operator import add
from typing import Any, TypeVar

from sqlalchemy import Connection, Table, func, select

from receiver.ledger import tables
from receiver.ledger.queries.fields import Fields
from receiver.ledger.queries.row_mapping import AT_ONCE, labelled, read_rows

MOST_BYTES = 1 << 20
"""What is bulky of the rows of one answer, together; one row at least is there. To read and write
it takes the process that takes notifications a quarter of a second."""

OF_RUNS = ("parameters", "output")
OF_PLANS = ("targets",)


R = TypeVar("R")


def add_bulky(connection: Connection, table: Table, rows: Sequence[R], fields: Fields) -> list[R]:
    """Read into runs or plans what is bulky of them and wanted; return those that have room."""
    keys = [key for key in (OF_RUNS if table is tables.runs else OF_PLANS) if key in fields]
    found: list[Any] = [*rows]
    if not keys or not found:
        return found
    sizes: dict[str, int] = {}
    length = reduce(add, (func.coalesce(func.length(table.c[key]), 0) for key in keys))
    for row in _read(connection, table, found, [table.c.id, length.label("length")]):
        sizes[row["id"]] = row["length"]
    found = fitting(found, (sizes.get(row["id"], 0) for row in found))
    texts = {
        row["id"]: row for row in _read(connection, table, found, labelled(table, ["id", *keys]))
    }
    for row in found:
        row.update(texts.get(row["id"], {}))
    return found


def _read(
    connection: Connection, table: Table, rows: Sequence[Any], selected: Sequence[Any]
) -> Iterator[dict[str, Any]]:
    """Yield these columns of rows."""
    for start in range(0, len(rows), AT_ONCE):
        ids = [row["id"] for row in rows[start : start + AT_ONCE]]
        query = select(*selected).where(table.c.id.in_(ids))
        yield from read_rows(connection, query, dict[str, Any])


def fitting(rows: Sequence[R], sizes: Iterable[int]) -> list[R]:
    """Return the first rows that have room in one answer together, one at least."""
    found, sum_ = list[R](), 0
    for row, size in zip(rows, sizes, strict=True):
        sum_ += size
        if found and sum_ > MOST_BYTES:
            break
        found.append(row)
    return found
