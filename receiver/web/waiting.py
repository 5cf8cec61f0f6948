"""The connections that no thread is busy with, by what they wait for, and how many may."""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from receiver.web.connection import Connection

MOST = 1000
"""Connections that may wait at one time; it is what gunicorn allows by default."""


class Stage(IntEnum):
    """What a connection waits for; where room is needed, the first ones are shut first."""

    LEAVING = 0
    """It was answered for the last time, and its peer has not closed yet."""
    IDLE = 1
    """It was answered, and may bring a further request."""
    HEAD = 2
    """Its handshake, or the head of its request, is not whole: nobody knows who it is."""
    ANSWER = 3
    """Its peer does not read the answer."""
    BODY = 4
    """It has a known token, and its body is not whole."""


class Waiting:
    """Holds them in the order of their arrival, by stage.

    Attributes:
        bytes: of all bodies that are held, those of requests in a lane included.
    """

    def __init__(self) -> None:
        self._stages: dict[Stage, dict[Connection, None]] = {stage: {} for stage in Stage}
        self.bytes = 0

    def __len__(self) -> int:
        return sum(map(len, self._stages.values()))

    def __iter__(self) -> Iterator[Connection]:
        """Yield all of them; they may be taken out meanwhile."""
        return iter([one for stage in self._stages.values() for one in stage])

    def add(self, connection: Connection, stage: Stage) -> None:
        """Take one in, or move it."""
        self.remove(connection)
        connection.stage = stage
        self._stages[stage][connection] = None

    def remove(self, connection: Connection) -> None:
        """Let one go; it need not be there."""
        self._stages[connection.stage].pop(connection, None)

    def oldest(self, *stages: Stage) -> Connection | None:
        """Return who waits longest in the first of the stages that has anybody."""
        return next((one for stage in stages for one in self._stages[stage]), None)

    def count(self, connection: Connection) -> None:
        """Count the bytes that a connection holds now."""
        held = 0 if connection.closed else connection.held
        self.bytes += held - connection.counted
        connection.counted = held
