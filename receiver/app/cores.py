"""Gives each process a core of its own to run on.

Python runs one thread of a process at a time (the GIL). Spread over two cores, threads that
wait for one another wake each other across them at every call into the system: the intake
took 50 context switches a notification, kept to one core it takes 8, and answers 1.8 times
as many (bench/README.md). The scheduler moves what is not bound to a core away from a busy one.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import suppress


def deal_cores() -> Iterator[int]:
    """Give core after core of those that we may use, begun anywhere, without an end.

    Begun anywhere, because several instances on one machine know nothing of each other.
    """
    cores = sorted(os.sched_getaffinity(0))
    at = random.randrange(len(cores))  # noqa: S311 nobody gains by guessing it
    while True:
        yield cores[at % len(cores)]
        at += 1


def keep_to(core: int) -> None:
    """Keep this process and all that it starts from now on to a core, where that is allowed."""
    with suppress(OSError):
        os.sched_setaffinity(0, {core})
