"""The connections that no thread is busy with: their deadlines, and who goes if there are many."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

from receiver.web.connection import Connection, Stage
from receiver.web.thread_pools import ThreadPools

MAX_CONNECTIONS = 1000
"""Connections that may wait at one time; it is what gunicorn allows by default."""

TICK = 0.2
"""Seconds between two checks of the deadlines."""

FILES = 4096
"""Open files that all connections and the ledger may need together."""

ON_CUT = "postsync.on_cut"
"""Key of the app's extension that is called when a slow sender was cut off."""

EXPENDABLE = (Stage.HEAD, Stage.IDLE, Stage.FORM)
"""Connections that are not waited for at the end: they have no whole request."""


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


class ConnectionManager(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Manages the connections that no thread is busy with.

    Attributes:
        limit: seconds for a request to arrive, and for an answer to be taken.
        max_body: bytes of a body that are held.
    """

    limit: float
    max_body: int

    def get_thread_pool(self) -> ThreadPools:
        """Create the thread pools; gunicorn calls this once, in the process that serves."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft < FILES:
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(FILES, hard), hard))
        self.most = min(MAX_CONNECTIONS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)
        self.connections = ConnectionTable()
        self.pools = ThreadPools(self.cfg.threads)
        self.pools.start()
        self.next_tick = 0.0
        return self.pools

    def _ready(self, connection: Connection, _peer: Any = None) -> None:
        raise NotImplementedError

    def _submit_incomplete(self, connection: Connection) -> None:
        raise NotImplementedError

    def _refuse(self, connection: Connection) -> None:
        raise NotImplementedError

    def _hold(self, connection: Connection, stage: Stage, seconds: float, events: int = 0) -> None:
        self.connections.add(connection, stage)
        connection.deadline = time.monotonic() + seconds
        if events:
            self._poll_for(connection, events)

    def _poll_for(self, connection: Connection, events: int) -> None:
        if connection.events == events:
            return
        change = self.poller.modify if connection.events else self.poller.register
        change(connection.peer, events, partial(self._ready, connection))
        connection.events = events

    def _leave_poller(self, connection: Connection) -> None:
        self.connections.remove(connection)
        if connection.events:
            self.poller.unregister(connection.peer)
            connection.events = 0

    def _drop(self, connection: Connection) -> None:
        self._leave_poller(connection)
        connection.close()
        self.connections.count(connection)
        self.nr_conns -= 1

    def _make_room(self, count: int) -> None:
        for _ in range(count):
            self._close_oldest(*Stage)

    def _close_oldest(self, *stages: Stage) -> bool:
        """Close the oldest connection of the first stage that has any; return False if none has."""
        connection = self.connections.oldest(*stages)
        if connection is None:
            return False
        if connection.stage is Stage.BODY:
            self._refuse(connection)
        else:
            self._drop(connection)
        return True

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Handle events, and check the deadlines in time."""
        super().wait_for_and_dispatch_events(
            min(timeout, TICK) if len(self.connections) else timeout
        )

    def murder_keepalived(self, force: bool = False) -> None:
        """End the connections whose deadline has passed; gunicorn calls this in its loop."""
        now = time.monotonic()
        if not force and now < self.next_tick:
            return
        self.next_tick = now + TICK
        for connection in self.connections:
            if force or connection.deadline <= now:
                self._end(connection)

    def _end(self, connection: Connection) -> None:
        if connection.stage in (Stage.FORM, Stage.HEAD, Stage.BODY) and (
            count := self.wsgi.extensions.get(ON_CUT)
        ):
            count()
        if connection.stage is Stage.BODY:
            self._submit_incomplete(connection)
        else:
            self._drop(connection)

    def _cap_keepalive(self, deadline: float) -> None:
        """Shorten the deadlines of those without a request; gunicorn calls this at the end."""
        for connection in self.connections:
            if connection.stage in EXPENDABLE:
                connection.deadline = min(connection.deadline, deadline)
