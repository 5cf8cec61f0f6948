"""Runs a slow function once for all who wait for its result (single flight)."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLateError
from threading import Lock
from typing import Generic, TypeVar

from receiver.core.threads import start_daemon

Result = TypeVar("Result")


class SingleFlight(Generic[Result]):
    """Runs a function in a thread of its own, of which there is never more than one.

    A ledger whose commits hang would otherwise take a thread and a connection for each probe.
    """

    def __init__(self, name: str, function: Callable[[], Result]) -> None:
        self._name = name
        self._function = function
        self._lock = Lock()
        self._under_way: Future[Result] | None = None

    def result(self, timeout: float) -> Result:
        """Return the result of the call that is under way, or of one that begins now.

        Raises:
            TimeoutError: there is none after ``timeout`` seconds.
        """
        with self._lock:
            future = self._under_way
            if future is None or future.done():
                future = self._under_way = Future()
                start_daemon(self._name, lambda: self._run(future))
        try:
            return future.result(timeout)
        except TooLateError:
            raise TimeoutError from None

    def _run(self, future: Future[Result]) -> None:
        try:
            future.set_result(self._function())
        except BaseException as error:  # noqa: BLE001 it is raised where the result is waited for
            future.set_exception(error)
