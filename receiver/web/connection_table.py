"""The connections that no thread is busy with, by what they wait for."""

from __future__ import annotations

from collections.abc import Iterator

from receiver.web.connection import Connection, Stage

MAX_CONNECTIONS = 1000
"""Connections that may wait at one time; it is what gunicorn allows by default."""


class ConnectionTable:
    """The connections by stage, in the order in which they came to it.

    Attributes:
        bytes: of all bodies that are held, those of requests in a thread pool included.
    """

    def __init__(self) -> None:
        self._stages: dict[Stage, dict[Connection, None]] = {stage: {} for stage in Stage}
        self.bytes = 0

    def __len__(self) -> int:
        return sum(map(len, self._stages.values()))

    def __iter__(self) -> Iterator[Connection]:
        """Yield all of them; they may be removed meanwhile."""
        return iter([one for stage in self._stages.values() for one in stage])

    def add(self, connection: Connection, stage: Stage) -> None:
        """Add a connection, or move it to a stage."""
        self.remove(connection)
        connection.stage = stage
        self._stages[stage][connection] = None

    def remove(self, connection: Connection) -> None:
        """Remove a connection, if it is there."""
        self._stages[connection.stage].pop(connection, None)

    def oldest(self, *stages: Stage) -> Connection | None:
        """Return the oldest connection of the first of the stages that has any."""
        return next((one for stage in stages for one in self._stages[stage]), None)

    def count(self, connection: Connection) -> None:
        """Update ``bytes`` by what a connection holds now."""
        held = 0 if connection.closed else connection.held
        self.bytes += held - connection.counted
        connection.counted = held
