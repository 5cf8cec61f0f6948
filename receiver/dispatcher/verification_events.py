"""The lines of the trail about what the live objects told of a sync."""

from __future__ import annotations

from collections import Counter

from receiver.core.model import ChangeVerdict, Event, Json
from receiver.dispatcher.observation import Asked
from receiver.dispatcher.resource_health import count_health, first_unknown
from receiver.ledger.plans.records import StoredSync
from receiver.notification.live_verdicts import Observed, judge

MOST_NAMED = 50
"""Resources that a line of the trail names."""


def verified_event(asked: Asked, observed: Observed, by: str) -> Event:
    """Return the trail's line about what was seen."""
    verdicts = Counter[ChangeVerdict]()
    unknown = ""
    for seen in observed.listed.values():
        change = judge(seen, asked.started, asked.finished)
        verdicts[change.verdict] += 1
        if change.verdict is ChangeVerdict.UNKNOWN:
            unknown = unknown or change.reason
    data: dict[str, Json] = {"application": asked.sync.application.key, "by": by}
    data |= {verdict.value: verdicts[verdict] for verdict in ChangeVerdict}
    if observed.unlisted:
        data["unlisted"] = [one.key for one in [*observed.unlisted][:MOST_NAMED]]
    data |= {"health": count_health(observed.health)} if observed.health else {}
    unknown = unknown or first_unknown(observed.health)
    data |= {"reason": unknown} if unknown else {}
    return Event("sync.verified", data, asked.stored.delivery, asked.sync.id)


def unverified_event(stored: StoredSync, application: str, reason: str) -> Event:
    """Return the trail's line about a sync for which nobody could look."""
    data: dict[str, Json] = {"application": application, "reason": reason}
    return Event("sync.unverified", data, stored.delivery, stored.id)
