"""The threads that make attempts."""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from queue import SimpleQueue

from receiver.core.logs import Log
from receiver.core.model import Outcome, OutcomeKind
from receiver.core.threads import SupervisedThread
from receiver.ledger.queue.claim import ClaimedRun

GRACE = 10.0
"""Seconds that an attempt may overrun its timeout before its thread is given up."""


@dataclass(frozen=True, slots=True)
class Finished:
    """An attempt that ended in this process."""

    run: ClaimedRun
    outcome: Outcome


@dataclass(slots=True)
class _Attempt:
    """An attempt under way; ``thread`` is the ident of its thread, 0 until that has taken it."""

    run: ClaimedRun
    began: float
    thread: int = 0
    over: bool = False
    given_up: bool = False


def shifted(run: ClaimedRun, jump: int) -> ClaimedRun:
    """Return the run as begun ``jump`` milliseconds later, by a clock that was set."""
    return replace(run, first_attempt_at=run.first_attempt_at + jump)


class WorkerPool:
    """A fixed number of threads; daemons, so that one that hangs cannot hold up an exit.

    A thread whose attempt does not end in its time is given up, since nothing can interrupt it, and
    another takes its place.

    Attributes:
        given_up: how many attempts of each handler ended so.
        hanging: how many threads were given up and have not ended.
    """

    def __init__(
        self, size: int, work: Callable[[ClaimedRun], Outcome], notify: Callable[[], None], log: Log
    ) -> None:
        self._size = size
        self._work = work
        self._notify = notify
        self._log = log
        self._todo: SimpleQueue[_Attempt] = SimpleQueue()
        self._done: SimpleQueue[tuple[_Attempt, Outcome]] = SimpleQueue()
        self._started: dict[tuple[str, int], _Attempt] = {}
        self._lock = threading.Lock()
        self._awaited = 0
        self._gathered = threading.Event()
        self.hanging = 0
        self._threads = 0
        self.given_up = Counter[str]()
        for _ in range(size):
            self._add_thread()

    @property
    def free(self) -> int:
        """How many threads are idle."""
        return self._size - len(self._started)

    @property
    def busy(self) -> int:
        """How many threads make an attempt, or have just made one; not those that hang."""
        return len(self._started)

    @property
    def exhausted(self) -> bool:
        """Whether as many threads hang as there should be at all: only a new process helps."""
        return self.hanging >= self._size

    def busy_lanes(self) -> Counter[str]:
        """How many threads each lane keeps busy."""
        return Counter(attempt.run.lane for attempt in self._started.values())

    def start(self, run: ClaimedRun) -> None:
        """Give an attempt to a free thread."""
        attempt = self._started[run.id, run.attempt] = _Attempt(run, time.monotonic())
        self._todo.put(attempt)

    def take_finished(self) -> list[Finished]:
        """Return what has ended since the last call, or is given up; their threads are free."""
        ended: list[Finished] = []
        while not self._done.empty():  # nobody else takes them
            attempt, outcome = self._done.get()
            del self._started[attempt.run.id, attempt.run.attempt]
            ended.append(Finished(attempt.run, outcome))
        return [*ended, *self._give_up()]

    def gather(self, seconds: float) -> None:
        """Wait, at most so long, until all attempts have ended but those that last longer anyway.

        These are the ones that began thrice that time ago.
        """
        since = time.monotonic() - 3 * seconds
        self._awaited = count = sum(one.began >= since for one in self._started.values())
        if self._done.qsize() < count:
            self._gathered.clear()
            if self._done.qsize() < count:
                self._gathered.wait(seconds)
        self._awaited = 0

    def shift_times(self, jump: int) -> None:
        """Shift the beginnings of attempts under way; the clock was set by ``jump`` ms."""
        for attempt in self._started.values():
            attempt.run = shifted(attempt.run, jump)

    def run_ids(self) -> list[str]:
        """Return the ids of the runs whose attempts are under way."""
        return [attempt.run.id for attempt in self._started.values()]

    def _give_up(self) -> list[Finished]:
        """Give up the threads whose attempts are late; what they return in the end is dropped."""
        now, ended = time.monotonic(), list[Finished]()
        for key, attempt in list(self._started.items()):
            limit = attempt.run.policy["timeout"] + GRACE
            if now - attempt.began < limit or not self._abandon(attempt):
                continue
            del self._started[key]
            self._add_thread()
            self.given_up[attempt.run.handler] += 1
            self._log_hang(attempt)
            why = f"handler {attempt.run.handler} gave no answer within {limit:g} s, and hangs"
            late = Outcome(OutcomeKind.TEMPORARY, why, state=attempt.run.state, seconds=limit)
            ended.append(Finished(attempt.run, late))
        return ended

    def _abandon(self, attempt: _Attempt) -> bool:
        """Give an attempt up, unless it has ended just now."""
        with self._lock:
            attempt.given_up = not attempt.over
            self.hanging += attempt.given_up
        return attempt.given_up

    def _log_hang(self, attempt: _Attempt) -> None:
        frame = sys._current_frames().get(attempt.thread)  # noqa: SLF001 documented, and the only way
        where = "".join(traceback.format_stack(frame)) if frame else ""
        run = attempt.run
        self._log.error("handler.hangs", run=run.id, handler=run.handler, stack=where)

    def _add_thread(self) -> None:
        self._threads += 1
        SupervisedThread(f"attempt-{self._threads}", self._serve).start()

    def _serve(self) -> None:
        while True:
            attempt = self._todo.get()
            attempt.thread = threading.get_ident()
            outcome = Outcome(OutcomeKind.PERMANENT, "its thread broke off; see the log")
            try:
                outcome = self._work(attempt.run)
            finally:
                given_up = self._end(attempt, outcome)
            if given_up:
                return

    def _end(self, attempt: _Attempt, outcome: Outcome) -> bool:
        """Hand an outcome in; return whether the thread has been replaced meanwhile."""
        with self._lock:
            attempt.over = True
            self.hanging -= attempt.given_up
        if not attempt.given_up:
            self._done.put((attempt, outcome))
            if self._done.qsize() >= self._awaited:
                self._gathered.set()
            self._notify()
        return attempt.given_up
