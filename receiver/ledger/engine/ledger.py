"""A ledger that is open: its transactions, whichever engine keeps it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from enum import Enum, auto
from typing import Literal

from sqlalchemy import Connection, Engine, TextClause, select
from sqlalchemy.exc import DBAPIError

from receiver.core.errors import LedgerUnavailable

Survives = Literal["power", "process"]


class Hold(Enum):
    """What a writing transaction keeps others from, as long as it lasts.

    On a SQLite file each keeps all others from writing. On PostgreSQL, where several processes of
    several hosts write, each keeps them from as little as it may:

    Attributes:
        ALL: from changing plans and runs: what it reads stays as it is until it has written.
        OWN: from nothing but an ``ALL``. It takes runs that are due and writes how its own ended;
            rows that it reads first, it locks.
        NEW: from nothing. It only adds: what arrives, a line of the trail.
    """

    ALL = auto()
    OWN = auto()
    NEW = auto()


class Ledger(ABC):
    """A ledger that is open in this process. Reopen it after a fork.

    Attributes:
        engine: the database.
        offset_ms: added to the database's clock; tests turn it to let hours pass.
    """

    def __init__(self, engine: Engine, offset_ms: int = 0) -> None:
        self.engine = engine
        self.offset_ms = offset_ms

    @contextmanager
    def write(self, hold: Hold = Hold.ALL, *, survives: Survives = "power") -> Iterator[Connection]:
        """Give a transaction that commits at the end.

        Args:
            hold: what it keeps others from.
            survives: what the commit outlives: a loss of power, or the end of this process
                alone, which does not wait for a disk.

        Raises:
            LedgerUnavailable: the disk is full, the file locked or not writable, the server away.
                Nothing of the transaction is left; or nobody can tell, if it broke off during
                the commit.
            LedgerDamaged: the file is broken.
        """
        try:
            with self._writing(hold, lasting=survives == "power") as connection:
                yield connection
        except DBAPIError as error:
            raise self._refusal(f"the ledger took no write: {told(error)}", error) from error

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection that sees one consistent state and takes no lock.

        Raises:
            LedgerUnavailable: the file cannot be read, the server is away.
            LedgerDamaged: the file is broken.
        """
        try:
            with self._reading() as connection:
                yield connection
        except DBAPIError as error:
            raise self._refusal(f"the ledger cannot be read: {told(error)}", error) from error

    def now(self, connection: Connection) -> int:
        """Milliseconds since 1970 by the database's clock, which alone decides what is due."""
        return int(connection.scalar(select(self.clock)) or 0) + self.offset_ms

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    @property
    @abstractmethod
    def clock(self) -> TextClause:
        """The database's clock in milliseconds, as an expression."""

    @property
    @abstractmethod
    def shared(self) -> bool:
        """Whether others than the processes of one instance may use it at the same time."""

    @abstractmethod
    def ring(self, connection: Connection) -> None:
        """Wake the dispatchers of other hosts, if there can be any, once this is committed.

        The ledger alone is the truth: a ring that is lost costs the time until the next poll,
        nothing else.
        """

    @abstractmethod
    def sole(self, task: str) -> AbstractContextManager[bool]:
        """Give whether nobody else does this task now; nobody begins it meanwhile.

        It saves work that two would do at once, and guards nothing: what is written of it is
        checked when it is written.
        """

    def _refusal(self, message: str, error: DBAPIError) -> LedgerUnavailable:  # noqa: ARG002 a file asks it
        """Say what an error of the database means for whoever wanted something of the ledger."""
        return LedgerUnavailable(message)

    @abstractmethod
    def _writing(self, hold: Hold, *, lasting: bool) -> AbstractContextManager[Connection]: ...

    @abstractmethod
    def _reading(self) -> AbstractContextManager[Connection]: ...


def told(error: DBAPIError) -> str:
    """Return what the driver says, in one line."""
    return " ".join(str(error.orig).split())
