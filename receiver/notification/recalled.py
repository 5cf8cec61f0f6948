"""What was known of a sync beside its notification, and how that corrects its verdicts; pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from receiver.core.model import Change, ChangeVerdict, Live, Resource, Sync, from_ms
from receiver.notification.live_verdicts import Observed, Sighting, judge


@dataclass(frozen=True, slots=True)
class Trace:
    """What a failed sync did to a resource: changed it for ``certain``, or perhaps.

    Both times are the sync's, in milliseconds; ``started_at`` is 0 if nobody said.
    """

    sync: str
    finished_at: int
    certain: bool
    started_at: int = 0


@dataclass(frozen=True, slots=True)
class Recalled:
    """What was known of a sync's resources beside its notification; stored with the sync.

    ``images`` is whether their images changed, ``failed`` what failed syncs did to them, both from
    the memory and by the resource's index. ``observed`` is what their live objects told, None
    where nobody has looked.
    """

    images: Mapping[int, bool] = field(default_factory=dict)
    failed: Mapping[int, Trace] = field(default_factory=dict)
    observed: Observed | None = None


NOTHING = Recalled()


def with_recalled(sync: Sync, recalled: Recalled) -> Sync:
    """Return the sync with its verdicts corrected by what was recalled of its resources.

    What it does not list and has changed all the same stands after what it lists.
    """
    if recalled == NOTHING:
        return sync
    seen = recalled.observed or Observed()
    resources = [
        _corrected(
            _seen(sync, resource, seen.listed.get(number)), recalled.images.get(number),
            recalled.failed.get(number), seen.listed.get(number),
        )
        for number, resource in enumerate(_with_health(sync.resources, seen.health))
    ]  # fmt: skip
    return replace(sync, resources=tuple(_told([*resources, *_unlisted(sync, seen)], seen.told)))


def _with_health(
    resources: Sequence[Resource], health: Mapping[int, tuple[str, str]]
) -> Iterator[Resource]:
    for number, one in enumerate(resources):
        told = health.get(number)
        yield one._replace(health=told[0], health_message=told[1]) if told else one


def _told(resources: Iterable[Resource], told: Mapping[str, Live]) -> Iterator[Resource]:
    """Yield the resources with what their live objects told beside the change."""
    for one in resources:
        live = told.get(one.key) if told else None
        yield one._replace(live=live) if live else one


def _seen(sync: Sync, resource: Resource, seen: Sighting | None) -> Resource:
    """Return a resource with the verdict of its live object, whose reason has both."""
    if seen is None or sync.started_at is None or sync.finished_at is None:
        return resource
    change = judge(seen, sync.started_at, sync.finished_at)
    both = f"{change.reason}; its message: {resource.change.reason}"
    return resource._replace(change=Change(change.verdict, both))


def _unlisted(sync: Sync, observed: Observed) -> Iterator[Resource]:
    """Yield what the sync changed and does not list."""
    if sync.started_at is None or sync.finished_at is None:
        return
    for one, seen in observed.unlisted.items():
        change = judge(seen, sync.started_at, sync.finished_at)
        if change.verdict is ChangeVerdict.CHANGED:
            reason = f"not listed: {change.reason}"
            yield one.as_resource(Change(ChangeVerdict.CHANGED, reason))


def _corrected(
    resource: Resource, images: bool | None, trace: Trace | None, seen: Sighting | None
) -> Resource:
    if images is None and trace is None:
        return resource
    change = resource.change
    if images and change.verdict is ChangeVerdict.UNKNOWN:
        change = Change(ChangeVerdict.CHANGED, f"its images changed; {change.reason}")
    if trace and resource.status != "PruneSkipped":
        change = _after_failure(change, trace, seen)
    return resource._replace(change=change, image_changed=images)


def may_have_changed(trace: Trace | None, seen: Sighting) -> bool:
    """Return whether a failed sync may have changed what its live object tells this of.

    Whatever that sync's messages said, it did not change what was changed before it last.
    """
    if trace is None:
        return False
    return not trace.started_at or not seen.is_older_than(from_ms(trace.started_at))


def _after_failure(change: Change, trace: Trace, seen: Sighting | None) -> Change:
    by = f"by the failed sync {trace.sync}"
    certain = trace.certain
    if seen and not may_have_changed(trace, seen):
        return change
    if seen and trace.started_at:
        happened = seen.happened(from_ms(trace.started_at), from_ms(trace.finished_at))
        certain = certain or bool(happened)
    if certain and change.verdict is not ChangeVerdict.CHANGED:
        return Change(ChangeVerdict.CHANGED, by)
    if change.verdict is ChangeVerdict.UNCHANGED:
        return Change(ChangeVerdict.UNKNOWN, f"{change.reason}, but perhaps changed {by}")
    return change
