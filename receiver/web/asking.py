"""A question that may take long, asked once for all who wait for its answer."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLateError
from threading import Lock
from typing import Generic, TypeVar

from receiver.core.threads import start_daemon

Answer = TypeVar("Answer")


class Shared(Generic[Answer]):
    """Asks in a thread of its own, of which there is never more than one.

    A ledger whose commits hang, asked anew by each probe, would take a thread and a connection
    each time.
    """

    def __init__(self, name: str, question: Callable[[], Answer]) -> None:
        self._name = name
        self._question = question
        self._lock = Lock()
        self._under_way: Future[Answer] | None = None

    def ask(self, patience: float) -> Answer:
        """Return the answer to a question that is under way, or is asked now.

        Raises:
            TimeoutError: there is none after ``patience`` seconds.
        """
        with self._lock:
            coming = self._under_way
            if coming is None or coming.done():
                coming = self._under_way = Future()
                start_daemon(self._name, lambda: self._answer(coming))
        try:
            return coming.result(patience)
        except TooLateError:
            raise TimeoutError from None

    def _answer(self, coming: Future[Answer]) -> None:
        try:
            coming.set_result(self._question())
        except BaseException as error:  # noqa: BLE001 it is raised where the answer is waited for
            coming.set_exception(error)
