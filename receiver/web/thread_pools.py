"""The thread pools that answer requests, one for each kind of request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import Any

from receiver.core.threads import SupervisedThread
from receiver.web.admission import Pool

THREADS = {Pool.UNAUTHENTICATED: 2, Pool.HEALTH: 2, Pool.READINESS: 2}
"""The other pool has those of the settings. Little waits for a commit here, so few will do."""

QUEUE = {Pool.AUTHENTICATED: 1000, Pool.UNAUTHENTICATED: 200, Pool.HEALTH: 200, Pool.READINESS: 200}
"""Whole requests that wait for a thread of their pool; the next one is answered with 503."""


@dataclass(frozen=True, slots=True)
class Work:
    """Something to do, and a callback for its result (None if it raised)."""

    do: Callable[[], Any]
    then: Callable[[Any], None]


class ThreadPools:
    """A queue and its threads for each pool; one thread submits the work."""

    def __init__(self, threads: int) -> None:
        self._threads = {pool: THREADS.get(pool, threads) for pool in Pool}
        self._inside = dict.fromkeys(Pool, 0)
        self._queues: dict[Pool, SimpleQueue[Work | None]] = {pool: SimpleQueue() for pool in Pool}

    def start(self) -> None:
        """Start the threads; call it after the fork."""
        for pool, count in self._threads.items():
            for number in range(count):
                SupervisedThread(f"{pool}-{number}", partial(_run, self._queues[pool])).start()

    def submit(self, pool: Pool, work: Work) -> bool:
        """Have a thread of the pool do it; return False if the pool is full."""
        if self._inside[pool] >= QUEUE[pool] + self._threads[pool]:
            return False
        self._inside[pool] += 1
        self._queues[pool].put(work)
        return True

    def finish(self, pool: Pool) -> None:
        """Count a request whose work is done."""
        self._inside[pool] -= 1

    def shutdown(self, wait: bool = True) -> None:  # noqa: ARG002 gunicorn's signature of a pool
        """Have the threads end when their queues are empty, without waiting for them."""
        for pool, count in self._threads.items():
            for _ in range(count):
                self._queues[pool].put(None)


def _run(queue: SimpleQueue[Work | None]) -> None:
    while (work := queue.get()) is not None:
        result = None
        try:
            result = work.do()
        finally:
            work.then(result)
