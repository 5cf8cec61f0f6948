"""The threads that make attempts."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue

from receiver.ledger.claim import Claimed
from receiver.model import Outcome
from receiver.threads import Supervised


@dataclass(frozen=True, slots=True)
class Finished:
    """An attempt that ended in this process."""

    run: Claimed
    outcome: Outcome


def moved(run: Claimed, jump: int) -> Claimed:
    """Return the run with its beginning moved by ``jump`` milliseconds."""
    return replace(run, first_attempt_at=run.first_attempt_at + jump)


class Crew:
    """A fixed number of threads; daemons, so that one that hangs cannot hold up an exit."""

    def __init__(
        self, size: int, work: Callable[[Claimed], Outcome], ring: Callable[[], None]
    ) -> None:
        self._size = size
        self._work = work
        self._ring = ring
        self._todo: SimpleQueue[Claimed] = SimpleQueue()
        self._done: SimpleQueue[Finished] = SimpleQueue()
        self._started: dict[tuple[str, int], tuple[Claimed, float]] = {}
        for number in range(size):
            Supervised(f"attempt-{number}", self._serve).start()

    @property
    def free(self) -> int:
        """How many threads have nothing to do."""
        return self._size - len(self._started)

    @property
    def busy(self) -> int:
        """How many threads make an attempt, or have just made one."""
        return len(self._started)

    def busy_lanes(self) -> Counter[str]:
        """How many threads each lane has."""
        return Counter(run.lane for run, _ in self._started.values())

    def start(self, run: Claimed) -> None:
        """Give an attempt to a free thread."""
        self._started[run.id, run.claim] = (run, time.monotonic())
        self._todo.put(run)

    def finished(self) -> list[Finished]:
        """Take what has ended since the last call; their threads are free."""
        ended: list[Finished] = []
        while True:
            try:
                item = self._done.get_nowait()
            except Empty:
                return ended
            run, _ = self._started.pop((item.run.id, item.run.claim))
            ended.append(Finished(run, item.outcome))

    def move(self, jump: int) -> None:
        """Let attempts under way have begun by a clock that was set by ``jump`` milliseconds."""
        for key, (run, began) in self._started.items():
            self._started[key] = moved(run, jump), began

    def alive(self, grace: float) -> list[str]:
        """Name the runs whose attempts are within their timeout and ``grace`` seconds.

        A handler that ignores its timeout does not keep its lease for ever: the run is taken
        over, and what the thread returns in the end is not written.
        """
        now = time.monotonic()
        return [
            run.id
            for run, began in self._started.values()
            if now - began < run.policy["timeout"] + grace
        ]

    def _serve(self) -> None:
        while True:
            run = self._todo.get()
            self._done.put(Finished(run, self._work(run)))
            self._ring()
