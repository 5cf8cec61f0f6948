"""What works beside the loop, in a thread of its own, because others are asked who may be slow."""

from __future__ import annotations

from typing import Protocol

OTHERS = ""
"""In place of a sender: all that have no connection."""


class Companion(Protocol):
    """It finds its work in the ledger, stores what comes of it, and wakes the loop."""

    def start(self) -> None:
        """Begin; the rules that were last in force are known."""

    def notify(self) -> None:
        """Look at once: the loop has planned something."""

    def stop(self) -> None:
        """End soon; what is left waits in the ledger."""
