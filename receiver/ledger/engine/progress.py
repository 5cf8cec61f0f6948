"""How whoever copies a ledger tells how far it is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Called with the pages (of a database: the rows) that are copied, and how many there are."""
