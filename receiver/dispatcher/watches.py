"""The watches of runs that are pending: one thread for each that differs, while runs need it.

What a watch has told is in memory alone. Where it is lost, or wrong, a run is asked when its time
comes, as without it.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count

from receiver.contract import StreamHttp, Watch
from receiver.core.errors import AttemptError, LedgerUnavailable
from receiver.core.logs import Log
from receiver.core.threads import SupervisedThread
from receiver.dispatcher.outage import Outage
from receiver.ledger.engine.ledger import Ledger
from receiver.outbound import Outbound
from receiver.outbound.secret_masking import Masker

MOST_WATCHES = 64
"""Threads and connections; runs beyond them are asked as if there were no watch."""
MOST_NEWS = 10_000
"""Things that are known at a time, over all watches: some 10 MB."""
LONGEST_NEWS = 4_096
"""Characters of what is known of one thing; what has more is not kept."""
SETTLED = 2.0
"""Seconds after which a watch that was begun anew has told what there is."""
AGAIN = 5.0
"""Seconds until a watch is begun anew whose code broke off, or whose failure cannot be told."""


class Watches:
    """All of them; shared by the threads that make attempts.

    Args:
        outbound: the way out.
        ledger: of the trail, on which it is told when one fails.
        wake: called when a run is to be asked at once.
        log: gets the trail's lines.
    """

    def __init__(
        self, outbound: Outbound, ledger: Ledger, wake: Callable[[], None], log: Log
    ) -> None:
        self.outbound = outbound
        self.log = log
        self.lock = threading.Lock()
        self.stopping = False
        self._ledger = ledger
        self._wake = wake
        self._number = count(1)
        self._followed: dict[Watch, _Followed] = {}
        self._outages: dict[Watch, Outage] = {}
        self._woken: set[str] = set()

    def of_run(self, run: str) -> WatchesOfRun:
        """Return them as the run with this id has them."""
        return WatchesOfRun(self, run)

    def news(self, run: str, watch: Watch, subject: str, keep: float) -> str | None:
        """See `receiver.contract.Watches.news`."""
        with self.lock:
            followed = self._followed.get(watch)
            if followed is None:
                if self.stopping or len(self._followed) >= MOST_WATCHES:
                    return None
                followed = self._followed[watch] = _Followed(self, watch, self._outage(watch))
                SupervisedThread(f"watch-{next(self._number)}", followed.work).start()
            followed.waiting.setdefault(subject, {})[run] = time.monotonic() + keep
            return followed.news.get(subject) if followed.is_open else None

    def take_woken(self, busy: Collection[str]) -> set[str]:
        """Return the runs to be asked at once; those that are being asked come the next time."""
        with self.lock:
            for followed in self._followed.values():
                self._woken |= followed.take_missed()
            taken = self._woken.difference(busy)
            self._woken -= taken
            return taken

    def stop(self) -> None:
        """Begin none any more; those that there are end when their streams do."""
        self.stopping = True

    def wake_runs(self, runs: Collection[str]) -> None:
        """Have these asked at once; the lock is held."""
        self._woken.update(runs)
        self._wake()

    def has_room(self) -> bool:
        """Whether one thing more may be known; the lock is held."""
        return sum(len(one.news) for one in self._followed.values()) < MOST_NEWS

    def forget(self, watch: Watch) -> None:
        """Let a watch go that nobody needs; the lock is held."""
        del self._followed[watch]

    def _outage(self, watch: Watch) -> Outage:
        """Return that of a watch, which may have failed before: this is not told again."""
        outage = self._outages.pop(watch, None)
        outage = outage or Outage(
            ("watch.failed", "watch.restored"), {"watch": watch.name}, self._ledger, self.log
        )
        self._outages[watch] = outage
        if len(self._outages) > 2 * MOST_WATCHES:
            del self._outages[next(iter(self._outages))]
        return outage


@dataclass(frozen=True, slots=True)
class WatchesOfRun:
    """What a handler is given: `receiver.contract.Watches`."""

    watches: Watches
    run: str

    def news(self, watch: Watch, subject: str, keep: float) -> str | None:
        """See `receiver.contract.Watches.news`."""
        return self.watches.news(self.run, watch, subject, keep)


class _Followed:
    """A watch under way, and what it has told: `receiver.contract.Teller`.

    Attributes:
        waiting: the runs that wait for each thing, and until when they need the watch.
        news: what is known of each.
        is_open: whether that holds.
        untold: what runs waited for before it was begun anew, and it has not told since. What went
            in between is never told: who waits for it is asked.
    """

    def __init__(self, watches: Watches, watch: Watch, outage: Outage) -> None:
        self._watches = watches
        self._watch = watch
        self._outage = outage
        self._log = watches.log
        self.waiting: dict[str, dict[str, float]] = {}
        self.news: dict[str, str] = {}
        self.is_open = False
        self.untold: set[str] = set()
        self._settled_at = 0.0

    @property
    def wanted(self) -> bool:
        """Whether a run still waits."""
        with self._watches.lock:
            return self._is_wanted()

    def _is_wanted(self) -> bool:
        now = time.monotonic()
        left = {
            subject: still
            for subject, runs in self.waiting.items()
            if (still := {run: until for run, until in runs.items() if until > now})
        }
        self.waiting = left
        return bool(left) and not self._watches.stopping

    def http(self, seconds: float, secrets: Iterable[str] = ()) -> StreamHttp:
        """Return a client."""
        masker = Masker(filter(None, secrets))
        return self._watches.outbound.http(time.monotonic() + seconds, masker)

    @contextmanager
    def open(self, *, anew: bool) -> Iterator[None]:
        """Let what was told hold during the block."""
        self._outage.over()
        with self._watches.lock:
            if anew:
                self.news.clear()
                self.untold, self._settled_at = {*self.waiting}, time.monotonic() + SETTLED
            self.is_open = True
        try:
            yield
        finally:
            self.is_open = False

    def tell(self, subject: str, news: str) -> None:
        """Keep it, where there is room."""
        with self._watches.lock:
            self.untold.discard(subject)
            self.news.pop(subject, None)
            if len(news) <= LONGEST_NEWS and self._watches.has_room():
                self.news[subject] = news

    def ended(self, subject: str) -> None:
        """Wake who waits for it."""
        with self._watches.lock:
            self.untold.discard(subject)
            self.news.pop(subject, None)
            if runs := self.waiting.pop(subject, None):
                self._watches.wake_runs(runs)

    def take_missed(self) -> set[str]:
        """Return the runs whose things it should have told by now; the lock is held."""
        if not self.untold or time.monotonic() < self._settled_at:
            return set()
        untold, self.untold = self.untold, set()
        return {run for subject in untold for run in self.waiting.get(subject, ())}

    def work(self) -> None:
        """Follow while a run needs it."""
        while True:
            wait = self._follow()
            with self._watches.lock:
                if not self._is_wanted():
                    self._watches.forget(self._watch)
                    return
            time.sleep(wait)

    def _follow(self) -> float:
        """Follow as long as that goes well; return the seconds until it is tried again."""
        try:
            self._watch.follow(self)
        except AttemptError as error:
            try:
                return self._outage.failed(str(error))
            except LedgerUnavailable as unavailable:
                self._log.error("ledger.unavailable", reason=str(unavailable))
        except LedgerUnavailable as error:
            self._log.error("ledger.unavailable", reason=str(error))
        except Exception:  # noqa: BLE001 a bug of a handler's ends no thread of ours
            self._log.error("handler.bug", watch=self._watch.name, traceback=traceback.format_exc())
        return AGAIN
