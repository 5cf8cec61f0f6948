"""What rules would have asked of a sync's live objects, and nobody looked at when it was planned.

Rules that are written later cannot know it: such an object may have changed since.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from receiver.core.model import Live, Sync
from receiver.core.states import SyncState
from receiver.notification.application_memory import Recalled, with_recalled
from receiver.notification.live_verdicts import Observed
from receiver.planning.truth import Wanted, find_wanted
from receiver.rules.matching.matcher import Matcher
from receiver.rules.matching.questions import Asks


def not_seen(matcher: Matcher, sync: Sync, recalled: Recalled, *, connected: bool) -> str:
    """Return what is not known of the objects that decide, "" if nothing is missing.

    Args:
        matcher: of the rules that count.
        sync: as its notification tells it.
        recalled: what is stored with it.
        connected: whether its sender has a connection: without one, messages decide alone.
    """
    by_message = with_recalled(sync, replace(recalled, observed=None))
    wanted = find_wanted(matcher, by_message)
    seen = recalled.observed or Observed()
    missing = dict.fromkeys(_missing(by_message, wanted, seen))
    if connected:
        if {*wanted.listed} - {*seen.listed}:
            missing["what the sync did by live objects"] = None
        if wanted.unlisted and recalled.observed is None:
            missing["what the sync does not list"] = None
    return ", ".join(missing)


def missing_note(missing: str, state: str) -> list[str]:
    """Return what to say where something is missing of a sync in that state."""
    if not missing or state != SyncState.PLANNED:
        return []
    return [f"Nobody asked its live objects when it was planned, so it is unknown: {missing}."]


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
