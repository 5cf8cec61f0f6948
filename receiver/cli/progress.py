"""Says on stderr how far a command is, once it takes longer than a second."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from receiver.cli.screen import say, say_over

EVERY = 1.0
"""Seconds between two signs of life on a terminal, and before the first."""

EVERY_LINE = 10.0
"""Seconds between two lines where nobody looks."""


class Progress:
    """One line that is written anew on a terminal; now and then a line elsewhere."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._live = sys.stderr.isatty()
        self._next = monotonic() + EVERY
        self._shown = False

    def show(self, text: str) -> None:
        """Say how far it is, if it is time to."""
        if self._monotonic() < self._next:
            return
        self._next = self._monotonic() + (EVERY if self._live else EVERY_LINE)
        self._shown = True
        say_over(text) if self._live else say(text, err=True)

    def end(self) -> None:
        """Leave the cursor on a line of its own."""
        if self._shown and self._live:
            say(err=True)
