"""A back-test in the process that takes notifications: as `postsync backtest`, within bounds.

One at a time, over so many syncs and so much time; it tells where it stopped. After each sync it
lets others work for as long as that took: notifications wait for one sync at most.
"""

from __future__ import annotations

import time
from collections.abc import Container
from dataclasses import dataclass
from threading import Lock

from receiver.core.errors import PayloadError
from receiver.core.interruption import TooLong, checkpoint, cpu_limit, interruptible
from receiver.core.model import DeliveryVerdict
from receiver.inspection.backtest import Backtest
from receiver.inspection.explained import Unexplained
from receiver.inspection.stored_notification import sync_of
from receiver.inspection.what_if import load_pasted
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.queries.deliveries import Kept
from receiver.ledger.queries.reader import Filters, Reader
from receiver.rules.tenants.bounds import NO_TENANTS, Tenants

MOST_SYNCS = 5000
"""Syncs that are compared."""

LONGEST = 5.0
"""Processor seconds of a back-test, without the check of the rules."""

PATIENCE = 20.0
"""Seconds that somebody waits for a back-test."""

AT_ONCE = 10
"""Syncs that are read together, 1 MiB at most of those that are more than one."""

LARGEST = 2 << 20
"""Bytes of a notification that is compared: to read one takes ten times as much memory."""


@dataclass(slots=True)
class Backtested:
    """What a back-test has found.

    Attributes:
        work: the rules over all syncs.
        oldest: when the oldest sync came that was looked at, "" without any.
        newest: when the newest one came, likewise.
        stopped: why older ones were not looked at, "" if all were.
    """

    work: Backtest
    oldest: str = ""
    newest: str = ""
    stopped: str = ""


class Backtester:
    """Back-tests rules on the syncs of one ledger; ``lock`` is held meanwhile."""

    def __init__(self, ledger: Ledger, tenants: Tenants = NO_TENANTS) -> None:
        self._tenants = tenants
        self._reader = Reader(ledger)
        self.lock = Lock()

    def test(self, text: str, since: int, connected: Container[str], *, whole: bool) -> Backtested:
        """Compare what a rule file makes of the syncs with what was made of them, the newest first.

        Args:
            text: the rule file.
            since: when the oldest sync came, in milliseconds since 1970.
            connected: the senders that have a connection.
            whole: whether these are all rules, so that others count as gone.

        Raises:
            RuleError: the rule file has mistakes.
            LedgerUnavailable: the ledger cannot be read.
            Unexplained: another back-test is made, or to check the rules takes too long.
        """
        if not self.lock.acquire(blocking=False):
            raise Unexplained("another back-test is made now: ask again in some seconds")
        try:
            rules, expressions = load_pasted(text)
            only = () if whole else [rule.name for rule in rules]
            found = Backtested(Backtest(rules, expressions, only, self._tenants))
            self._fill(found, since, connected)
            return found
        finally:
            self.lock.release()

    def _fill(self, found: Backtested, since: int, connected: Container[str]) -> None:
        try:
            with interruptible(cpu_limit(LONGEST, _give_way)):
                self._judge_all(found, since, connected)
        except TooLong:
            found.stopped = f"it had taken {LONGEST:g} s of a core"

    def _judge_all(self, found: Backtested, since: int, connected: Container[str]) -> None:
        wanted = Filters(states=(DeliveryVerdict.ACCEPTED.value,), since=since)
        until = time.monotonic() + PATIENCE
        before, more, number, begun = "", True, 0, time.thread_time()
        while more:
            page, more = self._reader.deliveries(wanted, limit=AT_ONCE, before=before)
            for one in page:
                if number == MOST_SYNCS:
                    found.stopped = f"{MOST_SYNCS:,} are the most"
                elif time.monotonic() > until:
                    found.stopped = f"it had taken {PATIENCE:g} s"
                if found.stopped:
                    return
                _judge(found.work, one, connected)
                before, number = one.row["id"], number + 1
                found.oldest = one.row["receivedAt"]
                found.newest = found.newest or found.oldest
                time.sleep(time.thread_time() - begun)
                begun = time.thread_time()


def _give_way() -> None:
    """Let a thread work that waits for this one: else it may wait 5 ms, several times a request."""
    time.sleep(0)


def _judge(work: Backtest, one: Kept, connected: Container[str]) -> None:
    checkpoint()
    row, outcome = one.row, one.row["outcome"]
    if outcome is None:  # its sync was deleted meanwhile
        return
    sync = row["sync"] or ""
    if row["size"] > LARGEST:
        work.leave_out("large", sync, f"its notification has {row['size']:,} bytes")
        return
    if one.body is None:
        work.leave_out("unreadable", sync, "the body cannot be unpacked")
        return
    try:
        read, recalled = sync_of(row, outcome, one.body)
    except PayloadError as error:
        work.leave_out("unreadable", sync, str(error))
        return
    work.judge(read, recalled, outcome, connected=row["sender"] in connected)
