"""An open ledger and its transactions, the same on both engines."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from enum import Enum, auto
from typing import ClassVar, Literal

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from receiver.core.errors import LedgerUnavailable
from receiver.ledger.prepared import Prepared

Survives = Literal["power", "process"]


IN_USE = "the ledger cannot be used: all of this process's connections to it are in use"


class LockMode(Enum):
    """Which lock on plans and runs a writing transaction takes, until it ends.

    On a SQLite file every writer excludes all others. On PostgreSQL, where several processes on
    several hosts write, it is an advisory lock:

    Attributes:
        EXCLUSIVE: nobody else changes plans and runs: what it reads stays so until it has written.
        SHARED: excludes only `EXCLUSIVE`. For claiming due runs and writing the outcomes of its own
            ones; rows that it reads before it writes, it locks by themselves.
        APPEND: no lock. For what only adds rows: what arrives, an event of the trail.
    """

    EXCLUSIVE = auto()
    SHARED = auto()
    APPEND = auto()


class Ledger(ABC):
    """A ledger that is open in this process. Reopen it after a fork.

    Attributes:
        now_query: gives the database's clock in milliseconds.
        shared: whether others than the processes of one instance may use it at the same time.
        engine: the database.
        offset_ms: added to the database's clock, so that tests can let hours pass.
    """

    now_query: ClassVar[Prepared]
    shared: ClassVar[bool]

    def __init__(self, engine: Engine, offset_ms: int = 0) -> None:
        self.engine = engine
        self.offset_ms = offset_ms

    @contextmanager
    def write(
        self, mode: LockMode = LockMode.EXCLUSIVE, *, survives: Survives = "power"
    ) -> Iterator[Connection]:
        """Yield a transaction that commits at the end of the block.

        Args:
            mode: what it keeps others from.
            survives: what the commit outlives: a loss of power, or the end of this process
                alone, which does not wait for a disk.

        Raises:
            LedgerUnavailable: the disk is full, the file locked or not writable, the server away.
                Nothing of the transaction is left; or that is not known, if it broke off during
                the commit.
            LedgerDamaged: the file is broken.
        """
        try:
            with self._writing(mode, lasting=survives == "power") as connection:
                yield connection
        except DBAPIError as error:
            raise self._to_unavailable(
                f"the ledger took no write: {driver_message(error)}", error
            ) from error
        except PoolTimeout as error:
            raise LedgerUnavailable(IN_USE) from error

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a connection that sees one consistent state and takes no lock.

        Raises:
            LedgerUnavailable: the file cannot be read, the server is away.
            LedgerDamaged: the file is broken.
        """
        try:
            with self._reading() as connection:
                yield connection
        except DBAPIError as error:
            raise self._to_unavailable(
                f"the ledger cannot be read: {driver_message(error)}", error
            ) from error
        except PoolTimeout as error:
            raise LedgerUnavailable(IN_USE) from error

    def now(self, connection: Connection) -> int:
        """Milliseconds since 1970 by the database's clock, which alone decides what is due."""
        return int(self.now_query.scalars(connection)[0]) + self.offset_ms

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    @abstractmethod
    def notify(self, connection: Connection) -> None:
        """Wake the dispatchers of other hosts, if there can be any, once this is committed.

        It is a hint: one that is lost costs the time until the next poll, nothing else.
        """

    @abstractmethod
    def exclusive_task(self, task: str, *, lasts: float = 0.0) -> AbstractContextManager[bool]:
        """Yield whether nobody else does this task now; nobody begins it within the block.

        It only saves that two do the same work at once. It protects no data: what comes of the work
        is checked when it is written.

        Args:
            task: its name.
            lasts: seconds that it may last. After that, others may take it for abandoned: a
                process that was frozen within it must not keep them from it for longer.
        """

    def _to_unavailable(self, message: str, error: DBAPIError) -> LedgerUnavailable:  # noqa: ARG002 SQLite's looks at it
        """Turn an error of the database into the error of ours that it means."""
        return LedgerUnavailable(message)

    @abstractmethod
    def _writing(self, mode: LockMode, *, lasting: bool) -> AbstractContextManager[Connection]: ...

    @abstractmethod
    def _reading(self) -> AbstractContextManager[Connection]: ...


def driver_message(error: DBAPIError) -> str:
    """Return the driver's message as one line."""
    return " ".join(str(error.orig).split())
