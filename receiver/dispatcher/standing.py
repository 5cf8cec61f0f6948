"""Which of the Applications that a plan waits for are done at its revision, and why others are not.

An Application is done when it has finished an operation at that revision and the ledger has the
sync, or when Argo CD finds nothing to do there: it is Synced at that revision. A sync on its way
is waited for, so that it goes into the plan and does not begin another.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from receiver.argocd.objects import ApplicationSummary
from receiver.ledger.plans.awaited import Awaited
from receiver.ledger.plans.awaiting import SyncSeen
from receiver.rules.matching.predicates import Globs
from receiver.rules.schema.debounce import AwaitedApplications

ON_ITS_WAY = 90.0
"""Seconds that a finished operation's sync may take to come: gap repair brings a lost one after 60.
"""

NAMED = 20
"""Applications that are named of those that are missing, and of those that have failed."""

SUCCEEDED = "Succeeded"
COMMIT = re.compile(r"[0-9a-f]{40}")


class Finished:
    """Knows since when each last operation has been seen, by our own monotonic clock."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[datetime | None, float]] = {}

    def on_its_way(self, one: ApplicationSummary, newest: int) -> bool:
        """Whether the notification of its last operation may still come.

        That of one which ended long before the ``newest`` sync that is here (milliseconds, by Argo
        CD's clock as well) has come, or never will.
        """
        if _ms(one.finished_at) < newest - 1000 * ON_ITS_WAY:
            return False
        now = time.monotonic()
        seen = self._seen.get(one.key)
        if seen is None or seen[0] != one.finished_at:
            seen = self._seen[one.key] = one.finished_at, now
        return now - seen[1] < ON_ITS_WAY


@dataclass(frozen=True, slots=True)
class _Wait:
    """Why an Application is not done."""

    why: str
    failed: bool = False


def stand(
    awaited: Awaited,
    applications: Iterable[ApplicationSummary],
    syncs: Mapping[str, SyncSeen],
    finished: Finished,
    newest: int,
) -> Awaited:
    """Return whom a plan still waits for.

    Args:
        awaited: whom it waits for, as it was last seen.
        applications: all of them that its rule means, see `chosen`.
        syncs: the newest sync of each at the plan's revision, by the Application's key or name.
        finished: since when operations have been seen to be finished.
        newest: when the newest sync of the plan finished, in milliseconds.
    """
    every = sorted(applications, key=lambda one: one.key)
    wanted = tuple(awaited.revisions)
    left = {}
    for one in every:
        sync = syncs.get(one.key) or syncs.get(one.name)
        comes = not _is_of(sync, one) and finished.on_its_way(one, newest)
        if wait := _wait(one, wanted, sync, comes=comes):
            left[one.key] = wait
    missing = [f"{key} {wait.why}" for key, wait in left.items() if not wait.failed]
    failed = [f"{key} {wait.why}" for key, wait in left.items() if wait.failed]
    over = bool(every) and not missing and (awaited.otherwise == "go" or not failed)
    return replace(
        awaited, found=len(every), missing=missing[:NAMED], failed=failed[:NAMED], met=over,
        more=max(0, len(missing) - NAMED) + max(0, len(failed) - NAMED), trouble="",
    )  # fmt: skip


def chosen(
    awaited: Awaited, applications: Iterable[ApplicationSummary]
) -> list[ApplicationSummary]:
    """Return the Applications that a plan's rule means."""
    which = AwaitedApplications.model_validate(awaited.applications)
    tests = [
        _test(patterns, read)
        for patterns, read in (
            (which.name, lambda one: one.name),
            (which.namespace, lambda one: one.namespace),
            (which.project, lambda one: one.project),
            (which.application_set, lambda one: one.application_set),
            *((patterns, _label(name)) for name, patterns in which.labels.items()),
        )
        if patterns is not None
    ]
    return [one for one in applications if all(test(one) for test in tests)]


Read = Callable[[ApplicationSummary], str | None]


def _label(name: str) -> Read:
    return lambda one: one.labels.get(name)


def _test(patterns: Sequence[str], read: Read) -> Callable[[ApplicationSummary], bool]:
    accept = Globs(patterns).accept

    def holds(one: ApplicationSummary) -> bool:
        value = read(one)
        return value is not None and accept(value)

    return holds


def _wait(
    one: ApplicationSummary, wanted: tuple[str, ...], sync: SyncSeen | None, *, comes: bool
) -> _Wait | None:
    """Return why an Application is not done, None if it is.

    Args:
        one: the Application.
        wanted: the revisions.
        sync: its newest sync there.
        comes: that of its last operation may still come.
    """
    at_it = one.operated == wanted
    if at_it and one.finished_at is None:
        return _Wait("still runs its operation")
    if at_it and not _is_of(sync, one):
        if comes:
            return _Wait("has finished, its notification is not here yet")
        how = f"ended as {one.phase}, without a notification"
        return None if one.phase == SUCCEEDED else _Wait(how, failed=True)
    if sync is not None:
        return _wait_of_sync(sync)
    if one.synced == "Synced" and one.revisions == wanted:
        return None
    return _Wait(f"is {one.synced or 'not compared'} at {_short(one.revisions)}")


def _wait_of_sync(sync: SyncSeen) -> _Wait | None:
    if not sync.planned:
        return _Wait(f"has finished, its sync {sync.id} is not planned yet")
    if sync.phase != SUCCEEDED:
        return _Wait(f"ended as {sync.phase}, sync {sync.id}", failed=True)
    return None


def _is_of(sync: SyncSeen | None, one: ApplicationSummary) -> bool:
    """Whether a sync is that of the Application's last operation, or of a later one."""
    if sync is None or sync.finished_at is None:
        return sync is not None
    return sync.finished_at >= _ms(one.finished_at)


def _ms(moment: datetime | None) -> int:
    return int(moment.timestamp()) * 1000 if moment else 0


def _short(revisions: Sequence[str]) -> str:
    named = [one[:8] if COMMIT.fullmatch(one) else one for one in revisions]
    return ", ".join(named) or "no revision"
