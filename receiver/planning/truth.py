"""Which resources of a sync are judged by their live objects before it is planned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from receiver.core.model import Event, Json, Resource, Sync, from_ms, rfc3339
from receiver.core.states import SyncState
from receiver.ledger.plans.records import Planning
from receiver.ledger.plans.verification import waiting_reason
from receiver.notification.application_memory import is_dry_run
from receiver.notification.change_detection import list_gap
from receiver.rules.matching.matcher import Matcher
from receiver.rules.matching.questions import Wanted


def find_wanted(matcher: Matcher, sync: Sync) -> Wanted:
    """Return what is to be read for a sync, whose resources have their verdicts by message."""
    health, asks = matcher.live.wants_health(sync), matcher.live.asks(sync)
    if is_dry_run(sync) or sync.started_at is None or sync.finished_at is None:
        return Wanted(health=health, asks=asks)
    gap = bool(list_gap(sync.retry_count, sync.options))
    return Wanted(matcher.live.wants_truth(sync), gap and matcher.live.verifies(sync), health, asks)


def find_unlisted(matcher: Matcher, sync: Sync, others: Sequence[Resource]) -> list[Resource]:
    """Return those of an Application's resources that a sync does not list and a rule selects."""
    listed = {(one.group, one.kind, one.name): one.namespace for one in sync.resources}
    missing = [
        one
        for one in others
        if (there := listed.get((one.group, one.kind, one.name))) is None
        or one.namespace not in {"", there}  # the list gives what has no namespace one, too
    ]
    return [missing[number] for number in matcher.live.could_select(sync, missing)]


def leave_to_verify(planning: Planning, wanted: Wanted, event: Event, until: int) -> Planning:
    """Leave a sync to be verified; what it changes in the memory is written at once, in order."""
    data: dict[str, Json] = {**event.data, "objects": len(wanted.objects)}
    if wanted.unlisted:
        data["unlisted"] = True
    data["until"] = rfc3339(from_ms(until))
    return replace(
        planning, state=SyncState.VERIFYING, reason=waiting_reason(until), verify_until=until,
        wanted=wanted, events=(replace(event, data=data, sync=planning.sync),),
    )  # fmt: skip
