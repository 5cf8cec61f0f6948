"""Which connections wait for what, how long, and who has to go where there is no room."""

from __future__ import annotations

import resource
import time
from functools import partial
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

from receiver.web.connection import Connection
from receiver.web.lanes import Lanes
from receiver.web.waiting import MOST, Stage, Waiting

TICK = 0.2
"""Seconds between two looks at the deadlines."""

FILES = 4096
"""Open files that all connections together may need, and the ledger beside them."""

ON_CUT = "postsync.on_cut"
"""Among the app's extensions: what to call when a slow sender was cut off."""

HURRIED = (Stage.HEAD, Stage.IDLE)
"""Who need not be waited for at the end."""


class Holding(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Holds the connections that no thread is busy with.

    Attributes:
        limit: seconds for a request to arrive, and for an answer to be taken.
        max_body: bytes of a body that are held.
    """

    limit: float
    max_body: int

    def get_thread_pool(self) -> Lanes:
        """Make the lanes; gunicorn calls this once, in the process that serves."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft < FILES:
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(FILES, hard), hard))
        self.most = min(MOST, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)
        self.waiting = Waiting()
        self.lanes = Lanes(self.cfg.threads)
        self.lanes.start()
        self.next_tick = 0.0
        return self.lanes

    def _ready(self, connection: Connection, _peer: Any = None) -> None:
        raise NotImplementedError

    def _hand_over_cut(self, connection: Connection) -> None:
        raise NotImplementedError

    def _refuse(self, connection: Connection) -> None:
        raise NotImplementedError

    def _await(self, connection: Connection, stage: Stage, seconds: float, events: int = 0) -> None:
        self.waiting.add(connection, stage)
        connection.deadline = time.monotonic() + seconds
        if events:
            self._look_for(connection, events)

    def _look_for(self, connection: Connection, events: int) -> None:
        if connection.events == events:
            return
        change = self.poller.modify if connection.events else self.poller.register
        change(connection.peer, events, partial(self._ready, connection))
        connection.events = events

    def _leave_poller(self, connection: Connection) -> None:
        self.waiting.remove(connection)
        if connection.events:
            self.poller.unregister(connection.peer)
            connection.events = 0

    def _drop(self, connection: Connection) -> None:
        self._leave_poller(connection)
        connection.close()
        self.waiting.count(connection)
        self.nr_conns -= 1

    def _make_room(self, count: int) -> None:
        for _ in range(count):
            self._shut(*Stage)

    def _shut(self, *stages: Stage) -> bool:
        """Shut who waits longest in the first stage that has anybody; False if none has."""
        connection = self.waiting.oldest(*stages)
        if connection is None:
            return False
        if connection.stage is Stage.BODY:
            self._refuse(connection)
        else:
            self._drop(connection)
        return True

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Do what there is to do, and look at the deadlines in time."""
        super().wait_for_and_dispatch_events(min(timeout, TICK) if len(self.waiting) else timeout)

    def murder_keepalived(self, force: bool = False) -> None:
        """End the waiting of those whose time is over; gunicorn calls this all the time."""
        now = time.monotonic()
        if not force and now < self.next_tick:
            return
        self.next_tick = now + TICK
        for connection in self.waiting:
            if force or connection.deadline <= now:
                self._end(connection)

    def _end(self, connection: Connection) -> None:
        if connection.stage in (Stage.HEAD, Stage.BODY) and (
            count := self.wsgi.extensions.get(ON_CUT)
        ):
            count()
        if connection.stage is Stage.BODY:
            self._hand_over_cut(connection)
        else:
            self._drop(connection)

    def _cap_keepalive(self, deadline: float) -> None:
        """Wait no longer for requests that have not come; gunicorn calls this at the end."""
        for connection in self.waiting:
            if connection.stage in HURRIED:
                connection.deadline = min(connection.deadline, deadline)
