"""The threads that make attempts."""

from __future__ import annotations

import math
import sys
import threading
import time
import traceback
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from queue import SimpleQueue
from statistics import fmean

from receiver.core.logs import Log
from receiver.core.model import Outcome, OutcomeKind
from receiver.core.threads import SupervisedThread
from receiver.ledger.queue.claim import ClaimedRun

GRACE = 10.0
"""Seconds that an attempt may overrun its timeout before its thread is given up."""
QUICK = 0.05
"""Seconds that the attempts of a quick lane last, on average: more of its runs may wait here."""
AHEAD = 0.25
"""Seconds that a run waits here at most for a thread of its lane; then it is given back."""


@dataclass(frozen=True, slots=True)
class Finished:
    """An attempt that ended in this process."""

    run: ClaimedRun
    outcome: Outcome


@dataclass(slots=True)
class _Attempt:
    """An attempt under way, or one that waits for a thread of its lane.

    ``began`` is when it was given to a thread, or began to wait; ``thread`` is the ident of its
    thread, 0 until that has taken it.
    """

    run: ClaimedRun
    began: float
    waits: bool = False
    thread: int = 0
    over: bool = False
    given_up: bool = False


def shifted(run: ClaimedRun, jump: int) -> ClaimedRun:
    """Return the run as begun ``jump`` milliseconds later, by a clock that was set."""
    return replace(run, first_attempt_at=run.first_attempt_at + jump)


def _quick_lanes(ended: Sequence[Finished]) -> frozenset[str]:
    """Return the lanes whose attempts, of those that have just ended, were quick on average.

    A lane whose service takes no more for now is none of them.
    """
    seconds = defaultdict[str, list[float]](list)
    for one in ended:
        took = math.inf if one.outcome.limited else one.outcome.seconds
        seconds[one.run.lane].append(took)
    return frozenset(lane for lane, took in seconds.items() if fmean(took) < QUICK)


class WorkerPool:
    """A fixed number of threads; daemons, so that one that hangs cannot hold up an exit.

    A thread whose attempt does not end in its time is given up, since nothing can interrupt it, and
    another takes its place.

    A lane has at most ``lane_limit`` of them. While its attempts are quick, as many more of its
    runs may wait for one of these: so the loop claims more at once, and stores more together.

    Attributes:
        given_up: how many attempts of each handler ended so.
        hanging: how many threads were given up and have not ended.
    """

    def __init__(
        self, size: int, work: Callable[[ClaimedRun], Outcome], notify: Callable[[], None],
        log: Log, *, lane_limit: int,
    ) -> None:  # fmt: skip
        self._size = size
        self._lane_limit = lane_limit
        self._work = work
        self._notify = notify
        self._log = log
        self._todo: SimpleQueue[_Attempt] = SimpleQueue()
        self._done: SimpleQueue[tuple[_Attempt, Outcome]] = SimpleQueue()
        self._started: dict[tuple[str, int], _Attempt] = {}
        self._waiting: defaultdict[str, deque[_Attempt]] = defaultdict(deque)
        self._running = Counter[str]()  # how many threads each lane has
        self._quick = frozenset[str]()
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
        return self._size - self.busy_lanes().total()

    @property
    def busy(self) -> int:
        """How many runs are here: attempts that are made, have just ended or wait; none hangs."""
        return len(self._started)

    @property
    def waiting(self) -> bool:
        """Whether a run waits for a thread of its lane."""
        return any(one.waits for one in self._started.values())

    @property
    def exhausted(self) -> bool:
        """Whether as many threads hang as there should be at all: only a new process helps."""
        return self.hanging >= self._size

    def busy_lanes(self) -> Counter[str]:
        """How many threads each lane keeps busy."""
        with self._lock:
            return self._running.copy()

    def ahead(self) -> Counter[str]:
        """How many runs more than it has threads each quick lane may have here."""
        late = time.monotonic() - QUICK
        under_way = [one for one in self._started.values() if not one.over]
        slow = {one.run.lane for one in under_way if one.began < late}
        room = Counter(dict.fromkeys(self._quick - slow, self._lane_limit))
        return room - Counter(one.run.lane for one in under_way if one.waits)

    def full_lanes(self) -> frozenset[str]:
        """Return the lanes of which no more runs are taken: their attempts are not quick."""
        ahead = self.ahead()
        busy = self.busy_lanes().items()
        return frozenset(
            lane for lane, count in busy if count >= self._lane_limit and not ahead[lane]
        )

    def start(self, run: ClaimedRun) -> None:
        """Give an attempt to a free thread, or let it wait until its lane may have another one."""
        attempt = self._started[run.id, run.attempt] = _Attempt(run, time.monotonic())
        with self._lock:
            has, full = self._running[run.lane], self._running.total() >= self._size
            if has and (full or has >= self._lane_limit):
                attempt.waits = True
                self._waiting[run.lane].append(attempt)
            else:
                self._begin(attempt)

    def _begin(self, attempt: _Attempt) -> None:
        """Give an attempt to whichever thread is free next; the lock is held."""
        attempt.waits, attempt.began = False, time.monotonic()
        self._running[attempt.run.lane] += 1
        self._todo.put(attempt)

    def _leave(self, lane: str, *, limited: bool = False) -> None:
        """Give the place of an attempt that has ended to its lane's next run; the lock is held.

        Nothing begins after its service has said that it takes no more: that is given back.
        """
        self._running[lane] -= 1
        waiting = self._waiting.get(lane, deque())
        if limited:
            for one in waiting:
                one.began = -math.inf
            waiting.clear()
        late = time.monotonic() - AHEAD  # the loop gives back what has waited for so long
        while waiting and waiting[0].began < late:
            waiting.popleft()
        if waiting:
            self._begin(waiting.popleft())
        if not waiting:
            self._waiting.pop(lane, None)
        if not self._running[lane]:
            del self._running[lane]

    def take_finished(self) -> list[Finished]:
        """Return what has ended since the last call, or is given up; their threads are free."""
        ended: list[Finished] = []
        while not self._done.empty():  # nobody else takes them
            attempt, outcome = self._done.get()
            del self._started[attempt.run.id, attempt.run.attempt]
            ended.append(Finished(attempt.run, outcome))
        self._quick = _quick_lanes(ended) if ended else self._quick
        return [*ended, *self._give_up()]

    def take_back(self, *, every: bool = False) -> list[ClaimedRun]:
        """Return the runs that have waited for too long, or all that wait: none of them begins."""
        late = time.monotonic() - AHEAD
        with self._lock:
            back = [
                one for one in self._started.values() if one.waits and (every or one.began < late)
            ]
            for lane in {one.run.lane for one in back}:
                left = deque(one for one in self._waiting.pop(lane, ()) if one not in back)
                if left:
                    self._waiting[lane] = left
        for attempt in back:
            del self._started[attempt.run.id, attempt.run.attempt]
        return [attempt.run for attempt in back]

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
            if attempt.waits or now - attempt.began < limit or not self._abandon(attempt):
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
            if attempt.given_up:
                self._leave(attempt.run.lane)
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
                self._leave(attempt.run.lane, limited=outcome.limited)
        if not attempt.given_up:
            self._done.put((attempt, outcome))
            if self._done.qsize() >= self._awaited:
                self._gathered.set()
            self._notify()
        return attempt.given_up
