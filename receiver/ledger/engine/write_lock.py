"""The write lock of a SQLite file, over the processes of one host, with a fair queue.

SQLite's own wait for a lock is a sleep of up to 100 ms that is tried again, and knows no order:
beside a busy dispatcher, the intake would sleep most of its time (measured: 25 ms at the median).
A file lock of the kernel wakes the next waiter at once, and ends with the process that holds it.
"""

from __future__ import annotations

import fcntl
import threading
from pathlib import Path


class WriteLock:
    """A lock over all threads of all processes. Open it after the fork, once a process."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab")
        self._thread = threading.Lock()

    def __enter__(self) -> None:
        self._thread.acquire()
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX)
        except BaseException:
            self._thread.release()
            raise

    def __exit__(self, *_: object) -> None:
        fcntl.flock(self._file, fcntl.LOCK_UN)
        self._thread.release()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
