"""Cooperative interruption of long work: the work calls `checkpoint`, its caller gives the check.

Matching and rendering may take minutes of a core, by what a sync lists and what the rules say.
What a check raises ends the work. It is no ``Exception``, so that no handler of errors in a rule or
a run catches it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

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


@contextmanager
def interruptible(check: Callable[[], None]) -> Iterator[None]:
    """Have `checkpoint` call this within the block; what it raises comes out of the block."""
    token = _check.set(check)
    try:
        yield
    finally:
        _check.reset(token)


def cpu_limit(seconds: float, then: Callable[[], None] | None = None) -> Callable[[], None]:
    """Return a check that raises `TooLong` after so many seconds of this thread's processor time.

    That the machine is busy with something else does not count. ``then`` is a further check.
    """
    until = time.thread_time() + seconds

    def check() -> None:
        if time.thread_time() > until:
            raise TooLong
        if then is not None:
            then()

    return check
