"""Lets long work be stopped: whoever starts it gives a function, whoever does it asks now and then.

Matching and rendering are bounded by what a sync lists and what the rules say, which may be minutes
of a core together. What the function raises ends the work, so it is no ``Exception``: none of those
that fail a rule or a run may take it for theirs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_pulse: ContextVar[Callable[[], None] | None] = ContextVar("pulse", default=None)


class Stopped(BaseException):
    """The work is to end now, and somebody else will do it again."""


class TooLong(BaseException):
    """The work takes longer than it may."""


def ask() -> None:
    """Give the one who started the work a chance to end it."""
    pulse = _pulse.get()
    if pulse is not None:
        pulse()


@contextmanager
def during(pulse: Callable[[], None]) -> Iterator[None]:
    """Have this asked while the block lasts; what it raises comes out of the block."""
    token = _pulse.set(pulse)
    try:
        yield
    finally:
        _pulse.reset(token)


def at_most(seconds: float, then: Callable[[], None] | None = None) -> Callable[[], None]:
    """Return a pulse that raises `TooLong` after so many seconds of this thread's processor time.

    Args:
        seconds: what the work may take; that the machine is busy with something else does not
            count.
        then: what is asked as well.
    """
    until = time.thread_time() + seconds

    def pulse() -> None:
        if time.thread_time() > until:
            raise TooLong
        if then is not None:
            then()

    return pulse
