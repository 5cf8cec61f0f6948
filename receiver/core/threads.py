"""Supervised threads: one that raises is logged and restarted, and none dies in silence.

What has a thread of its own has to be done for as long as the process lives. A process in which it
cannot be done any more ends, so that whoever supervises the process starts it anew.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import NoReturn, TypeVar

import structlog

T = TypeVar("T")

BACKOFF = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Seconds before each restart of a thread; when they are used up, the process ends."""

STEADY = 10.0
"""Seconds without an exception after which a thread counts as well again."""

_lock = threading.Lock()
_running: list[SupervisedThread] = []
_deaths: dict[str, int] = {}


class SupervisedThread:
    """A thread that runs its body until that returns, and runs it again whenever it raises.

    It is a daemon: one that hangs holds up no exit.

    Args:
        name: what logs, metrics and the probe call it.
        body: returns when the thread is to end; whatever it raises, a SystemExit too, restarts it.
        backoff: see `BACKOFF`.
    """

    def __init__(
        self, name: str, body: Callable[[], None], *, backoff: Sequence[float] = BACKOFF
    ) -> None:
        self.name = name
        self._body = body
        self._backoff = backoff
        self._thread = threading.Thread(target=self._live, name=name, daemon=True)
        self._died = 0
        self._steady_at = 0.0
        self._last = ""

    def start(self) -> None:
        """Start; call it after the fork."""
        with _lock:  # whoever asks meanwhile would take what is not begun for gone
            self._thread.start()
            _running.append(self)
            _deaths.setdefault(self.kind, 0)

    def join(self, timeout: float | None = None) -> None:
        """Wait until its work has returned, at most ``timeout`` seconds."""
        self._thread.join(timeout)

    @property
    def kind(self) -> str:
        """Its name without a number: threads of one kind do the same work."""
        return self.name.rstrip("0123456789").rstrip("-")

    @property
    def alive(self) -> bool:
        """Whether its work has not returned yet."""
        return self._thread.is_alive()

    @property
    def problem(self) -> str:
        """What is wrong with it, "" if nothing is."""
        if not self.alive:
            return f"the thread {self.name} is gone"
        if self._died and time.monotonic() < self._steady_at:
            return f"the thread {self.name} broke off: {self._last}"
        return ""

    def _live(self) -> None:
        while True:
            try:
                self._body()
                break
            except BaseException as error:  # noqa: BLE001 whatever it was, the work has to be done
                wait = self._record_death(error)
            time.sleep(wait)
        with _lock:
            _running.remove(self)

    def _record_death(self, error: BaseException) -> float:
        """Log and count it; return the seconds until the body runs again."""
        if time.monotonic() >= self._steady_at:
            self._died = 0
        self._died += 1
        self._last = type(error).__name__
        with _lock:
            _deaths[self.kind] += 1
        if self._died > len(self._backoff):
            _log_death(self.name, error, again="never, the process ends")
            end_process()
        wait = self._backoff[self._died - 1]
        self._steady_at = time.monotonic() + wait + STEADY
        _log_death(self.name, error, again=f"in {wait:g} s")
        return wait


def start_daemon(name: str, body: Callable[[], None]) -> threading.Thread:
    """Run something once, in a daemon thread; if it raises, that is logged."""

    def run() -> None:
        try:
            body()
        except BaseException as error:  # noqa: BLE001 nobody else would log it
            _log_death(name, error, again="never, it was to be done once")

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    return thread


def call_with_timeout(name: str, call: Callable[[], T], timeout: float) -> T:
    """Return what a call returns, or raise what it raises, unless it takes too long.

    For calls that cannot be interrupted: each is made in a thread of its own, which is left behind
    when it is late.

    Raises:
        TimeoutError: it took more than ``timeout`` seconds.
    """
    answer: Future[T] = Future()

    def run() -> None:
        try:
            answer.set_result(call())
        except BaseException as error:  # noqa: BLE001 it is raised where the answer is waited for
            answer.set_exception(error)

    start_daemon(name, run)
    return answer.result(timeout)


def thread_problems() -> list[str]:
    """Return what is wrong with the supervised threads of this process."""
    with _lock:
        return [problem for thread in _running if (problem := thread.problem)]


def deaths() -> dict[str, int]:
    """Return how often the supervised threads of this process have raised, by their kind."""
    with _lock:
        return dict(_deaths)


def end_process() -> NoReturn:
    """End this process at once, with an error; whoever supervises it starts it anew."""
    with suppress(Exception):
        sys.stdout.flush()
    os._exit(1)


def _log_death(name: str, error: BaseException, *, again: str) -> None:
    text = "".join(traceback.format_exception(error))
    with suppress(Exception):  # a log that fails must not end the thread
        structlog.get_logger().error("thread.died", thread=name, again=again, traceback=text)


def _reset_after_fork() -> None:
    """Begin anew in a child: it has none of the parent's threads, and the lock may be held."""
    global _lock  # noqa: PLW0603 a lock that another thread held at the fork is never released
    _lock = threading.Lock()
    _running.clear()
    _deaths.clear()


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_reset_after_fork)
