"""What the dispatcher writes of one run, and where: a load, and the pages of its whole log."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import delivery
from pages import FRAME, Log, kept
from stage import ours, parts, target


@dataclass(frozen=True)
class Written:
    """What the dispatcher has written of one run beside checkpoints, and where.

    Attributes:
        pages: of each table and index, pages in the log a run.
        page: kilobytes of a page there.
        runs: how many share a transaction.
        trees: how many tables and indexes a transaction touches.
        lines: kilobytes beside the ledger: lines on stdout.
    """

    pages: Mapping[str, float]
    page: float
    runs: float
    trees: float
    lines: float

    @property
    def logged(self) -> float:
        """Kilobytes of the log a run."""
        return sum(self.pages.values()) * self.page


def written(seconds: int) -> Written:
    """Load the whole way while the log keeps every page."""
    with (
        tempfile.TemporaryDirectory() as copies,
        target("204") as (port, calls),
        ours(delivery.RULES.replace("@@PORT@@", str(port))) as (own, home, process),
        kept(home / "ledger.db"),
    ):
        subject = delivery.Subject(own, calls, {"dispatcher": [parts(process.pid)[1]]})
        seen = delivery.full_load(subject, seconds)
        for file in home.glob("ledger.db*"):
            shutil.copy(file, copies)
        log = Log.read(Path(copies, "ledger.db"))
    mine = [one for one in log.transactions if not log.of_intake(one)]
    pages, page = log.by_owner(mine), (log.size + FRAME) / 1000
    return Written(
        {name: count / seen.calls for name, count in pages.items()}, page,
        seen.calls / len(mine), log.trees(mine) / len(mine),
        seen.costs["dispatcher"].written - page * pages.total() / seen.calls,
    )  # fmt: skip
