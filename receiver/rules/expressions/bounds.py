"""Bounds of one evaluation: its memory, and the size of its result.

The library bounds its steps (10,000 turns of all loops together, 32 levels of nesting), and its
regular expressions are linear (RE2). But a text may double with each turn, so the memory that an
evaluation takes is bounded here, and the size of what comes out of it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from receiver.core.errors import ExpressionError

STATM = Path("/proc/self/statm")

try:
    import resource
except ModuleNotFoundError:
    BOUNDED = False
else:
    BOUNDED = STATM.is_file()
"""Whether memory can be bounded: on Linux. Elsewhere nothing is served, and files are judged that
their user has written; the size of a result is bounded all the same."""

LARGEST = 8 << 20
"""Characters of a result, and of a text with several: as much as a whole notification."""

MEMORY = 192 << 20
"""Bytes that one evaluation may take. A `map` over n elements takes 16 n² in the library (measured:
430 MB for 5,000), so this is one over 3,400; with what else a dispatcher has (150 MB) it stays
below the memory limit of k8s/base."""

TOO_MUCH = f"the expression takes more than {MEMORY >> 20} MiB of memory"
FEWER = "a map over more than 3,400 elements does: let a rule match fewer resources"

OVERHEAD = 32
"""What each value of a result counts beside its characters: a list of numbers is large too."""


class SizeBudget:
    """Counts down the size that a result may still have."""

    def __init__(self, size: int = LARGEST) -> None:
        self._size = self._left = size

    @property
    def taken(self) -> int:
        """How much of it was taken, also what did not fit."""
        return self._size - self._left

    def take(self, size: int) -> None:
        """Take so much of it.

        Raises:
            ExpressionError: less is left.
        """
        self._left -= size
        if self._left < 0:
            raise ExpressionError(f"the result is larger than {self._size >> 20} MiB")

    def take_value(self, value: Any) -> None:
        """Take what one value needs, without what is in it."""
        self.take(OVERHEAD + (len(value) if isinstance(value, str | bytes) else 0))

    def take_tree(self, tree: Any) -> None:
        """Take what a value needs with all that is in it."""
        self.take_value(tree)
        inner = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
        for item in inner:
            self.take_tree(item)


class _Limit:
    """The process's own limit, lowered while at least one evaluation is under way."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._own = 0

    def enter(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._own, hard = resource.getrlimit(resource.RLIMIT_DATA)
                ceilings = [limit for limit in (self._own, hard) if limit != resource.RLIM_INFINITY]
                _set_limit(min([_data_bytes() + MEMORY, *ceilings]))

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                _set_limit(self._own)


_limit = _Limit()


@contextmanager
def bounded_memory() -> Iterator[None]:
    """Bound the memory that the block takes to `MEMORY`; more raises a MemoryError.

    The limit is the process's (RLIMIT_DATA, setrlimit(2)). An evaluation holds Python's lock, so
    that hardly anything else meets it.
    """
    if not BOUNDED:
        yield
        return
    _limit.enter()
    try:
        yield
    finally:
        _limit.leave()


def _set_limit(soft: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    with suppress(ValueError, OSError):  # a system without this limit has that of the result's size
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


_statm: tuple[int, int] | None = None


def _data_bytes() -> int:
    """Return what counts against the limit: the sixth number of /proc/self/statm, in pages."""
    global _statm  # noqa: PLW0603 the file stays open: this is read before each evaluation
    pid = os.getpid()
    if _statm is None or _statm[0] != pid:
        _statm = pid, os.open(STATM, os.O_RDONLY | os.O_CLOEXEC)
    return int(os.pread(_statm[1], 128, 0).split()[5]) * resource.getpagesize()
