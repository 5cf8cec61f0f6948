"""Cooperative interruption of long work: the work calls `checkpoint`, its caller gives the check.

Matching and rendering may take minutes of a core, by what a sync lists and what the rules say.
What a check raises ends the work. It is no ``Exception``, so that no handler of errors in a rule or
a run catches it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextvars import ContextVar, Token

_check: ContextVar[Callable[[], None] | None] = ContextVar("check", default=None)


class Stopped(BaseException):
    """The work is to end now; it will be done again later."""


class TooLong(BaseException):
    """The work takes longer than it may."""


def checkpoint() -> None:
    """Call the check of whoever started the work, which ends the work by raising."""
    check = _check.get()
    if check is not None:
        check()


class interruptible:  # noqa: N801 it is used like a function
    """Have `checkpoint` call this within the block; what it raises comes out of the block.

    It is no generator, for it is entered several times for each sync.
    """

    __slots__ = ("_checked", "_token")

    def __init__(self, check: Callable[[], None]) -> None:
        self._checked = check

    def __enter__(self) -> None:
        self._token: Token[Callable[[], None] | None] = _check.set(self._checked)

    def __exit__(self, *_: object) -> None:
        _check.reset(self._token)


class CpuLimit:
    """Tells when this thread has taken so many seconds of a processor.

    That the machine is busy with something else does not count.
    """

    __slots__ = ("_not_before", "_until")

    def __init__(self, seconds: float, now: float | None = None) -> None:
        self._until = (time.thread_time() if now is None else now) + seconds
        self._not_before = time.monotonic() + seconds

    def extend(self, seconds: float) -> None:
        """Allow so many more."""
        self._until += seconds

    @property
    def over(self) -> bool:
        """Whether it has taken more."""
        now = time.monotonic()
        if now < self._not_before:  # nor can it have: to ask for its own time takes much longer
            return False
        left = self._until - time.thread_time()
        self._not_before = now + left
        return left < 0


def cpu_limit(seconds: float, then: Callable[[], None] | None = None) -> Callable[[], None]:
    """Return a check that raises `TooLong` after so many seconds of this thread's processor time.

    ``then`` is a further check.
    """
    limit = CpuLimit(seconds)

    def check() -> None:
        if limit.over:
            raise TooLong
        if then is not None:
            then()

    return check
