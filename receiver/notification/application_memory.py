"""What is remembered of an Application from one sync to the next; pure.

No notification has these two things: the images that its resources had at the last sync that
succeeded, and what failed syncs have changed since, which the next one that succeeds reports as
`unchanged`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TypeVar

from receiver.core.model import ChangeVerdict, Resource, Sync
from receiver.notification.change_detection import OUT_OF_SYNC_ONLY
from receiver.notification.recalled import Recalled, Trace

T = TypeVar("T")

FAILED = ("Failed", "Error")

GENERATED = re.compile(r"-(?:presync|sync|postsync|syncfail)-\d{9,}$")
"""How Argo CD ends the name of a hook with generateName: its phase, and when the sync started."""

MOST = 20_000
"""Resources that are remembered of one Application, or as many as its newest sync lists."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered of one Application; both by the resource's key.

    ``images_at`` is when the newest sync finished that changed ``images``, in milliseconds.
    """

    images: Mapping[str, str] = field(default_factory=dict)
    images_at: int = 0
    failed: Mapping[str, Trace] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MemoryUpdate:
    """What one sync adds to the memory, and what it removes from it.

    Attributes:
        finished_at: when the sync finished, in milliseconds.
        images: those of resources that a rule selects and that were applied.
        listed: the keys of all that a rule selects, None if the sync lists only some resources.
        failed: what it changed or may have, if it failed.
        settled: the keys for which what failed syncs did is now reported; None for all.
    """

    finished_at: int
    images: Mapping[str, str] = field(default_factory=dict)
    listed: frozenset[str] | None = None
    failed: Mapping[str, Trace] = field(default_factory=dict)
    settled: frozenset[str] | None = frozenset()


def recall(sync: Sync, memory: Memory, *, all_images: bool = True) -> Recalled:
    """Return what the memory knows of the sync's resources.

    Args:
        sync: with its verdicts by message.
        memory: that of its Application.
        all_images: whether it counts of each resource if its images changed, not only of those of
            which the message leaves open what the sync did to them.
    """
    images = _changes(sync, memory.images, all_images=all_images) if memory.images else {}
    if sync.phase != "Succeeded" or not memory.failed or is_dry_run(sync):
        return Recalled(images)
    finished = finished_ms(sync)
    traces = ((n, memory.failed.get(r.key)) for n, r in enumerate(sync.resources))
    failed = {n: trace for n, trace in traces if trace and trace.finished_at <= finished}
    return Recalled(images, failed)


def _changes(sync: Sync, known: Mapping[str, str], *, all_images: bool) -> dict[int, bool]:
    """Return whether images changed, by the resource's index, where they are known."""
    open_ = ChangeVerdict.UNKNOWN
    seen = {
        n: (r.key, _images(r))
        for n, r in enumerate(sync.resources)
        if r.images and (all_images or r.change.verdict is open_)
    }
    return {n: now != known[key] for n, (key, now) in seen.items() if key in known}


def update_from(sync: Sync, watched: Iterable[int], *, acted: bool) -> MemoryUpdate | None:
    """Return what a sync, with its verdicts, changes in the memory; None if nothing.

    Args:
        sync: the sync, with its verdicts.
        watched: the indexes of the resources with images that a rule selects.
        acted: whether it is acted upon; one that is not settles nothing and carries nothing over.
    """
    if is_dry_run(sync):
        return None
    if sync.phase == "Succeeded":
        return _after_success(sync, [sync.resources[number] for number in watched], acted=acted)
    return _after_failed_sync(sync) if sync.phase in FAILED and acted else None


def _after_success(sync: Sync, watched: Sequence[Resource], *, acted: bool) -> MemoryUpdate:
    partial = sync.selective or OUT_OF_SYNC_ONLY in sync.options
    settled = frozenset(r.key for r in sync.resources) if sync.selective else None
    keys = [r.key for r in watched]
    lasting = ((key, r) for key, r in zip(keys, watched, strict=True) if _has_lasting_images(r))
    return MemoryUpdate(
        finished_at=finished_ms(sync),
        images={key: _images(r) for key, r in lasting},
        listed=None if partial else frozenset(keys),
        settled=settled if acted else frozenset(),
    )


def _after_failed_sync(sync: Sync) -> MemoryUpdate | None:
    finished = finished_ms(sync)
    started = int(sync.started_at.timestamp() * 1000) if sync.started_at else 0
    traces = {
        r.key: Trace(sync.id, finished, r.change.verdict is ChangeVerdict.CHANGED, started)
        for r in sync.resources
        if not r.hook_type and r.change.verdict is not ChangeVerdict.UNCHANGED
    }
    return MemoryUpdate(finished, failed=traces) if traces else None


def apply_update(memory: Memory, update: MemoryUpdate) -> Memory:
    """Return what is remembered after a sync; the same if that changes nothing."""
    failed = {key: trace for key, trace in memory.failed.items() if _still_open(key, trace, update)}
    for key, trace in update.failed.items():  # the certain one, of two that are alike the newer
        failed[key] = max(trace, failed.get(key, trace), key=attrgetter("certain", "finished_at"))
    images = dict(memory.images)
    if update.finished_at >= memory.images_at:
        images = {k: v for k, v in images.items() if update.listed is None or k in update.listed}
        images |= update.images
    images, failed = _newest(images, len(update.images)), _newest(failed, len(update.failed))
    if images == memory.images and failed == memory.failed:
        return memory
    images_at = update.finished_at if images != memory.images else memory.images_at
    return Memory(images, images_at, failed)


def _still_open(key: str, trace: Trace, update: MemoryUpdate) -> bool:
    """Whether what a failed sync did to a resource is still to be reported after this one."""
    settled = update.settled is None or key in update.settled
    return trace.finished_at > update.finished_at or not settled


def unlisted(sync: Sync, memory: Memory, update: MemoryUpdate | None) -> list[str]:
    """Return the keys that failed syncs changed, where this one settles all and lists them not."""
    if update is None or update.settled is not None or not memory.failed:
        return []
    listed = {resource.key for resource in sync.resources}
    return sorted(
        key
        for key, trace in memory.failed.items()
        if trace.finished_at <= update.finished_at and key not in listed
    )


def finished_ms(sync: Sync) -> int:
    """Return when the sync finished, or arrived if nobody said; in milliseconds."""
    return int(sync.moment.timestamp() * 1000) if sync.moment else 0


def is_dry_run(sync: Sync) -> bool:
    """Whether it was a dry run: by the operation, or, where that is not given, by the messages."""
    return sync.dry_run or any(r.message.endswith("dry run)") for r in sync.resources)


def _has_lasting_images(resource: Resource) -> bool:
    """Whether it was applied, under a name that comes again; hooks up to 3.3 have no status."""
    if resource.hook_type:
        return resource.status in {"", "Synced"} and not GENERATED.search(resource.name)
    return resource.status == "Synced"


def _images(resource: Resource) -> str:
    images = resource.images
    return images[0] if len(images) == 1 else " ".join(sorted(images))


def _newest(known: dict[str, T], least: int) -> dict[str, T]:
    """Bound what is remembered; what was added first is dropped first."""
    most = max(MOST, least)
    return known if len(known) <= most else dict(list(known.items())[-most:])
