"""Whether a sync really changed a resource, by its live object; pure.

`metadata.managedFields` has for each manager when it last really changed something: an apply that
changes nothing leaves it alone. So the times of Argo CD's managers tell, without any memory,
whether an operation changed an object. They are the API server's, in whole seconds, and compared
with the operation's alone, which are Argo CD's; none is ours.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from receiver.core.model import Change, ChangeVerdict, Live, Resource, rfc3339

MANAGERS = frozenset({"argocd-controller", "argocd-application-controller"})
"""Argo CD's names as a manager of fields: for apply, and for Replace that of its binary."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """What the live object of a resource told.

    Attributes:
        changes: Argo CD's managers, each with when it last changed the object.
        created: when the object was created.
        unreadable: why nothing is known of it, "" if it was read.
    """

    changes: tuple[tuple[str, datetime], ...] = ()
    created: datetime | None = None
    unreadable: str = ""

    @property
    def moments(self) -> list[tuple[datetime, str]]:
        """When something happened to the object, with what; the newest last."""
        found = [(at, f"last changed by {manager}") for manager, at in self.changes]
        return sorted([*found, *([(self.created, "created")] if self.created else [])])

    def is_older_than(self, moment: datetime) -> bool:
        """Whether all that is known to have happened to it was before a moment."""
        return bool(self.changes) and self.moments[-1][0] < moment

    def happened(self, start: datetime, end: datetime) -> str:
        """Return what Argo CD did to it between two moments, "" if nothing."""
        within = [f"{what} at {rfc3339(at)}" for at, what in self.moments if start <= at <= end]
        return within[-1] if within else ""


@dataclass(frozen=True, slots=True)
class Unlisted:
    """A resource of the Application that a sync does not list and may have changed."""

    group: str
    version: str
    kind: str
    namespace: str
    name: str

    @property
    def key(self) -> str:
        """That of its resource."""
        return self.as_resource(Change(ChangeVerdict.UNKNOWN, "")).key

    def as_resource(self, change: Change) -> Resource:
        """Return it as the entry that is missing in the sync's list."""
        return Resource(
            self.group, self.version, self.kind, self.namespace, self.name, status="Synced",
            message="", hook_type="", hook_phase="", sync_phase="Sync", images=(), change=change,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Observed:
    """What was read from the cluster for one sync.

    Attributes:
        listed: the sightings by the index of the resource in the sync's list.
        unlisted: what the sync does not list, and was read all the same.
        health: by the index likewise, Argo CD's word with its message; "" with why it is unknown.
        told: what rules ask beside the change, by the key of the resource, listed or not.
        unasked: whether nobody could ask: the connection is gone, or our reading broke off.
    """

    listed: Mapping[int, Sighting] = field(default_factory=dict)
    unlisted: Mapping[Unlisted, Sighting] = field(default_factory=dict)
    health: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    told: Mapping[str, Live] = field(default_factory=dict)
    unasked: bool = False

    @property
    def blind(self) -> bool:
        """Whether nothing could be read of anything that was asked for."""
        nothing = all(seen.unreadable for seen in self.listed.values())
        nothing = nothing and not any(word for word, _ in self.health.values())
        nothing = nothing and all(live.unreadable for live in self.told.values())
        return self.unasked or (nothing and bool(self.listed or self.health or self.told))


def changes_by(
    managers: Collection[str], entries: Iterable[tuple[str, str, datetime | None]]
) -> tuple[tuple[str, datetime], ...]:
    """Return when these managers last changed an object.

    Args:
        managers: names that Argo CD goes by.
        entries: of `metadata.managedFields`: manager, subresource and time. What is written to a
            subresource is others' business.
    """
    own = [(name, at) for name, sub, at in entries if at and not sub and name in managers]
    return tuple(sorted(own, key=lambda change: change[1]))


def judge(seen: Sighting, started: datetime, finished: datetime) -> Change:
    """Return what the operation between these two moments did to the object, with the reason."""
    if seen.unreadable:
        return Change(ChangeVerdict.UNKNOWN, f"its object cannot tell: {seen.unreadable}")
    if within := seen.happened(started.replace(microsecond=0), finished):
        return Change(ChangeVerdict.CHANGED, f"its object was {within}, during this operation")
    if not seen.changes:
        return Change(ChangeVerdict.UNKNOWN, "its object has no fields of Argo CD's managers")
    at, what = seen.moments[-1]
    last = f"its object was {what} at {rfc3339(at)}"
    if at > finished:
        return Change(ChangeVerdict.UNKNOWN, f"{last}, after it: by a later operation")
    return Change(ChangeVerdict.UNCHANGED, f"{last}, before this operation")
