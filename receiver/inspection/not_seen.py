"""What rules would have asked of a sync's live objects, and nobody looked at when it was planned.

Rules that are written later cannot know it: such an object may have changed since.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from receiver.core.model import Live, Sync
from receiver.core.states import SyncState
from receiver.notification.live_verdicts import Observed
from receiver.notification.recalled import Recalled, with_recalled
from receiver.planning.truth import find_wanted
from receiver.rules.matching.matcher import Matcher
from receiver.rules.matching.questions import Asks, Wanted


@dataclass(frozen=True, slots=True)
class NotSeen:
    """What is not known of objects that decide.

    Attributes:
        asked: what rules ask of them beside the change, which nothing else tells.
        change: what they would tell of the change, where messages decide without them.
    """

    asked: tuple[str, ...] = ()
    change: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything is missing."""
        return bool(self.asked or self.change)

    def note(self, state: str) -> list[str]:
        """Return what to say of it, where the sync is in that state."""
        if not self or state != SyncState.PLANNED:
            return []
        what = ", ".join(self.asked + self.change)
        return [f"Nobody asked its live objects when it was planned, so it is unknown: {what}."]


def not_seen(matcher: Matcher, sync: Sync, recalled: Recalled, *, connected: bool) -> NotSeen:
    """Return what is not known of the objects that decide.

    Args:
        matcher: of the rules that count.
        sync: as its notification tells it.
        recalled: what is stored with it.
        connected: whether its sender has a connection: without one, messages decide alone.
    """
    by_message = with_recalled(sync, replace(recalled, observed=None))
    wanted = find_wanted(matcher, by_message)
    seen = recalled.observed or Observed()
    asked = tuple(dict.fromkeys(_missing(by_message, wanted, seen)))
    return NotSeen(asked, tuple(_change(wanted, seen, recalled)) if connected else ())


def _change(wanted: Wanted, seen: Observed, recalled: Recalled) -> Iterator[str]:
    if {*wanted.listed} - {*seen.listed}:
        yield "what the sync did by live objects"
    if wanted.unlisted and recalled.observed is None:
        yield "what the sync does not list"


def _missing(sync: Sync, wanted: Wanted, seen: Observed) -> Iterator[str]:
    if {*wanted.health} - {*seen.health}:
        yield "health"
    for number, asks in wanted.asks.items():
        live = seen.told.get(sync.resources[number].key, Live())
        if not live.unreadable:
            yield from _unasked(asks, live)


def _unasked(asks: Asks, live: Live) -> Iterator[str]:
    if asks.labels and live.labels is None:
        yield "labels"
    unread = asks.every_annotation and live.annotations is None
    if unread or asks.annotations - {*(live.annotations or ())}:
        yield "annotations"
    if asks.fields - {*live.fields}:
        yield "fields"
