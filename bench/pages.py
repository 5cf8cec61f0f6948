"""Which pages of a SQLite ledger a load has written, by table and index, from its whole log (WAL).

While somebody reads, nothing of the log is moved into the file, and it keeps every page.
"""

from __future__ import annotations

import sqlite3
import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

HEADER, FRAME = 32, 24
"""Bytes of the log's header, and of each page's (https://sqlite.org/fileformat2.html)."""

Transaction = Sequence[int]
"""Numbers of the pages that it wrote."""


@dataclass(frozen=True)
class Log:
    """What was written: pages by number, and which table or index each of them belongs to."""

    size: int
    transactions: Sequence[Transaction]
    owners: dict[int, str]

    @classmethod
    def read(cls, copied: Path) -> Log:
        """Read a copy of a ledger that has its log beside it; the copy is used up."""
        size, transactions = _read(copied.with_name(f"{copied.name}-wal").read_bytes())
        with closing(sqlite3.connect(copied)) as connection:
            owners = dict(connection.execute("SELECT pageno, name FROM dbstat"))
        return cls(size, transactions, owners)

    def of_intake(self, transaction: Transaction) -> bool:
        """Whether it stored notifications, as only the intake does."""
        return any(self.owners.get(page) == "deliveries" for page in transaction)

    def by_owner(self, transactions: Sequence[Transaction]) -> Counter[str]:
        """How many pages of each table and index these have written."""
        return Counter(self.owners.get(page, "free pages") for one in transactions for page in one)

    def trees(self, transactions: Sequence[Transaction]) -> int:
        """How many tables and indexes they have touched, counted anew in each transaction."""
        return sum(len({self.owners.get(page, "") for page in one}) for one in transactions)


@contextmanager
def kept(ledger: Path) -> Iterator[None]:
    """Keep the log of a ledger from being moved into the file while the block lasts."""
    with closing(sqlite3.connect(ledger)) as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT COUNT(*) FROM syncs").fetchone()
        yield


def _read(log: bytes) -> tuple[int, list[Transaction]]:
    size, salt = struct.unpack(">I", log[8:12])[0], log[16:24]
    transactions: list[Transaction] = []
    pages: list[int] = []
    for at in range(HEADER, len(log) - size, FRAME + size):
        page, last = struct.unpack(">II", log[at : at + 8])
        if log[at + 8 : at + 16] != salt:
            break
        pages.append(page)
        if last:
            transactions.append(pages)
            pages = []
    return size, transactions
