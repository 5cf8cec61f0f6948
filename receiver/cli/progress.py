"""Writes a command's progress to stderr, once it takes longer than a second."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Self

from receiver.cli.screen import overwrite_line, write_line

EVERY = 1.0
"""Seconds between two updates on a terminal, and before the first."""

EVERY_LINE = 10.0
"""Seconds between two lines where there is no terminal."""


class Progress:
    """One line that is overwritten on a terminal; now and then a further line elsewhere.

    As a context it leaves the cursor on a line of its own, also after an error.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._live = sys.stderr.isatty()
        self._next = monotonic() + EVERY
        self._shown = False

    def show(self, text: str) -> None:
        """Write the progress, if it is time to."""
        if self._monotonic() < self._next:
            return
        self._next = self._monotonic() + (EVERY if self._live else EVERY_LINE)
        self._shown = True
        overwrite_line(text) if self._live else write_line(text, err=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._shown and self._live:
            write_line(err=True)
