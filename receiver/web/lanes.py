"""The threads that answer requests, in lanes of their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import Any

from receiver.core.threads import SupervisedThread
from receiver.web.admission import Lane

THREADS = {Lane.STRANGERS: 2, Lane.HEALTH: 2, Lane.READINESS: 2}
"""The other lane has those of the settings. Little waits for a commit here, so few will do."""

QUEUE = {Lane.KNOWN: 1000, Lane.STRANGERS: 200, Lane.HEALTH: 200, Lane.READINESS: 200}
"""Whole requests that wait for a thread of their lane; the next one is told to come again."""


@dataclass(frozen=True, slots=True)
class Work:
    """Something to be done, and what to do with what came of it (None if it broke off)."""

    do: Callable[[], Any]
    then: Callable[[Any], None]


class Lanes:
    """A queue and its threads for each lane; one thread puts work in."""

    def __init__(self, threads: int) -> None:
        self._threads = {lane: THREADS.get(lane, threads) for lane in Lane}
        self._inside = dict.fromkeys(Lane, 0)
        self._queues: dict[Lane, SimpleQueue[Work | None]] = {lane: SimpleQueue() for lane in Lane}

    def start(self) -> None:
        """Begin the threads; call it after the fork."""
        for lane, count in self._threads.items():
            for number in range(count):
                SupervisedThread(f"{lane}-{number}", partial(_live, self._queues[lane])).start()

    def submit(self, lane: Lane, work: Work) -> bool:
        """Have a thread of the lane do it; False if the lane is full."""
        if self._inside[lane] >= QUEUE[lane] + self._threads[lane]:
            return False
        self._inside[lane] += 1
        self._queues[lane].put(work)
        return True

    def leave(self, lane: Lane) -> None:
        """Count one out whose work is done."""
        self._inside[lane] -= 1

    def shutdown(self, wait: bool = True) -> None:  # noqa: ARG002 gunicorn's signature of a pool
        """Have the threads end when they have done what is there; nobody waits for them."""
        for lane, count in self._threads.items():
            for _ in range(count):
                self._queues[lane].put(None)


def _live(queue: SimpleQueue[Work | None]) -> None:
    while (work := queue.get()) is not None:
        came = None
        try:
            came = work.do()
        finally:
            work.then(came)
