"""Whether what a plan waits for is healthy: which objects that are, and one look at them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain

from sqlalchemy import Connection as Rows
from sqlalchemy import select

from receiver.argocd.connection import Connection
from receiver.argocd.objects import ApplicationState, LiveObject, ObjectRef, Unreadable
from receiver.core.model import Resource, Sync, rfc3339
from receiver.dispatcher.clock_doubt import find_ahead
from receiver.kubernetes.health import Health
from receiver.ledger import tables
from receiver.ledger.plans.load import stored_sync
from receiver.ledger.plans.plan import Plan
from receiver.notification.live_verdicts import changes_by
from receiver.notification.recalled import with_recalled
from receiver.planning.planner import read_sync

NAMED = 5
"""Objects that a reason names, of those that are not healthy."""

LONGEST = 300
"""Characters of what is told of one object."""


@dataclass(frozen=True, slots=True)
class Part:
    """What a plan waits for of one Application: the objects that one operation has applied.

    Attributes:
        sender: whose connection is asked.
        namespace: the Application's own; "" where it is not known.
        name: the Application's.
        started: when the operation began; None where that is not known.
        finished: when it ended; None likewise.
        refs: the objects.
    """

    sender: str
    namespace: str
    name: str
    started: datetime | None
    finished: datetime | None
    refs: tuple[ObjectRef, ...]

    @property
    def application(self) -> tuple[str, str, str]:
        """What names the Application."""
        return self.sender, self.namespace, self.name

    @property
    def key(self) -> str:
        """The Application's name for people."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


@dataclass(frozen=True, slots=True)
class Seen:
    """What one look at a part has told.

    Attributes:
        waits: each thing that keeps the plan waiting; none if all is healthy.
        superseded: why a newer operation makes the plan needless, "" if none does.
        unknowable: nobody can ever know, since the sender has no connection.
    """

    waits: tuple[str, ...] = ()
    superseded: str = ""
    unknowable: bool = False


def parts_of(rows: Rows, plan: Plan) -> list[Part]:
    """Return what a plan waits for: what it matched, or all that its syncs list if that is nothing.

    What was pruned, and hooks, had their end before the operation had.
    """
    chosen: dict[str, list[int]] = {}
    for target in plan.targets:
        chosen.setdefault(target.get("sync", plan.sync), []).append(target["index"])
    if chosen:
        syncs = ((_sync(rows, sync), indexes) for sync, indexes in chosen.items())
        return [_part(sync, [sync.resources[i] for i in indexes]) for sync, indexes in syncs]
    members = (_sync(rows, sync) for sync in _members(rows, plan))
    return [_part(sync, sync.resources) for sync in members]


def _members(rows: Rows, plan: Plan) -> Sequence[str]:
    """Return the syncs of a plan."""
    m = tables.plan_syncs.c
    query = select(m.sync_id).where(m.plan_id == plan.id).order_by(m.sync_finished_at, m.sync_id)
    return rows.scalars(query).all() or [plan.sync]


def _sync(rows: Rows, sync: str) -> Sync:
    stored = stored_sync(rows, sync)
    return with_recalled(read_sync(stored), stored.recalled)


def _part(sync: Sync, resources: Iterable[Resource]) -> Part:
    waited = (one for one in resources if one.status == "Synced" and not one.hook_type)
    refs = (ObjectRef(one.group, one.version, one.kind, one.namespace, one.name) for one in waited)
    app = sync.application
    return Part(
        sync.sender, app.namespace, app.name, sync.started_at, sync.finished_at,
        tuple(dict.fromkeys(refs)),
    )  # fmt: skip


def look(
    connection: Connection, parts: Sequence[Part], managers: Collection[str], deadline: float
) -> list[Seen]:
    """Look once at parts of one Application.

    Args:
        connection: who is asked.
        parts: what plans wait for of it.
        managers: names that Argo CD goes by as a manager of fields.
        deadline: as `time.monotonic` counts.

    Raises:
        ConnectionFailed: nothing can be read now.
    """
    of = parts[0]
    state = connection.application(of.namespace, of.name, deadline)
    if isinstance(state, Unreadable):
        return [Seen((f"Application {of.key}: {state.reason}",)) for _ in parts]
    told = [_of_operation(connection, state, part, managers, deadline) for part in parts]
    left = [part for part, seen in zip(parts, told, strict=True) if not seen.waits]
    refs = list(dict.fromkeys(chain.from_iterable(part.refs for part in left)))
    healths = connection.health(state, refs, deadline=deadline) if refs else {}
    return [
        seen if seen.waits else replace(seen, waits=_waits(part, healths))
        for part, seen in zip(parts, told, strict=True)
    ]


def _of_operation(
    connection: Connection, state: ApplicationState, part: Part, managers: Collection[str],
    deadline: float,
) -> Seen:  # fmt: skip
    """Return what another operation than the part's says, nothing if its objects decide alone."""
    operation = state.summary
    if part.started is None or operation.started_at == part.started:
        return Seen()
    if operation.started_at is None or operation.started_at < part.started:
        return Seen((f"Application {part.key} does not tell of this operation yet",))
    begun = f"a newer operation of {part.key}, begun at {rfc3339(operation.started_at)}"
    if operation.finished_at is None:
        return Seen((f"{begun}, is under way",))
    changed = _changed_since(connection, state, part, managers, deadline)
    return Seen(superseded=f"superseded by {begun}: it has changed {changed}" if changed else "")


def _changed_since(
    connection: Connection, state: ApplicationState, part: Part, managers: Collection[str],
    deadline: float,
) -> ObjectRef | None:  # fmt: skip
    """Return an object that Argo CD has changed since the part's operation ended, if there is one.

    An object that cannot tell, and one of a clock that may be ahead, was not changed: a plan that
    runs twice is better than none.
    """
    if part.finished is None or not part.refs:
        return None
    for ref, found in connection.live(state, part.refs, deadline=deadline).items():
        if isinstance(found, LiveObject):
            fields = ((one.manager, one.subresource, one.time) for one in found.managers)
            changes = changes_by(managers, fields)
            newer = changes and changes[-1][1] > part.finished
            if newer and not find_ahead(state, found, part.finished, waited=0):
                return ref
    return None


def _waits(part: Part, healths: Mapping[ObjectRef, Health | Unreadable]) -> tuple[str, ...]:
    return tuple(filter(None, (_wait(ref, healths[ref]) for ref in part.refs)))


def _wait(ref: ObjectRef, found: Health | Unreadable) -> str:
    """Return why an object is waited for, "" if it is healthy."""
    if isinstance(found, Unreadable):
        return f"{ref}: {found.reason}"[:LONGEST]
    if found.status == "Healthy":
        return ""
    return f"{ref}: {found.status}{f': {found.message}' if found.message else ''}"[:LONGEST]


def sentence(waits: Sequence[str]) -> str:
    """Return what a plan waits for, the first few by name."""
    more = len(waits) - NAMED
    return "; ".join(waits[:NAMED]) + (f"; {more} more" if more > 0 else "")
