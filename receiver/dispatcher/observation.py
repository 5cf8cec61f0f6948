"""What the live objects of an Application tell of its syncs, in one reading."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain
from typing import TypeAlias

from receiver.argocd.connection import Connection
from receiver.argocd.objects import ApplicationState, LiveObject, ObjectRef, Unreadable
from receiver.core.model import Change, ChangeVerdict, Live, Resource, Sync, rfc3339
from receiver.dispatcher.clock_doubt import find_ahead, find_behind
from receiver.dispatcher.live_facts import FieldLook, unread
from receiver.dispatcher.resource_health import REASON, read_health
from receiver.ledger.plans.field_values import FieldPlace, FieldUpdate
from receiver.ledger.plans.records import StoredSync
from receiver.notification.application_memory import finished_ms, is_dry_run
from receiver.notification.field_memory import FieldMemory, Operation
from receiver.notification.live_verdicts import Observed, Sighting, Unlisted, changes_by, judge
from receiver.notification.recalled import Trace, may_have_changed, with_recalled
from receiver.planning.planner import Planner, read_sync
from receiver.rules.matching.questions import Asks, Wanted


@dataclass(frozen=True, slots=True)
class Asked:
    """A sync that waits, and what is to be read for it.

    ``listed`` is the sync as its notification has it, ``sync`` with its verdicts by message.
    """

    stored: StoredSync
    listed: Sync
    sync: Sync
    wanted: Wanted

    @classmethod
    def of(cls, stored: StoredSync, planner: Planner) -> Asked:
        """Read a sync; the rules in force say what is wanted."""
        listed = read_sync(stored)
        sync = with_recalled(listed, stored.recalled)
        return cls(stored, listed, sync, planner.wanted(sync))

    def unread(self, reason: str) -> Observed:
        """Return that none of its objects could be read."""
        reason, resources = reason[:REASON], self.sync.resources
        return Observed(
            dict.fromkeys(self.wanted.listed, Sighting(unreadable=reason)),
            health=dict.fromkeys(self.wanted.health, ("", reason)),
            told={resources[n].key: unread(reason, asks) for n, asks in self.wanted.asks.items()},
        )

    @property
    def operation(self) -> Operation | None:
        """When it ran, None where it does not say that. What failed is compared with by nobody."""
        sync = self.sync
        keep = sync.phase == "Succeeded" and not is_dry_run(sync)
        if sync.started_at is None or sync.finished_at is None:
            return None
        return Operation(sync.started_at, sync.finished_at, keep)

    @property
    def started(self) -> datetime:
        """When the operation began."""
        assert self.sync.started_at  # noqa: S101 nothing is wanted of a sync that does not say it
        return self.sync.started_at

    @property
    def finished(self) -> datetime:
        """When the operation ended."""
        assert self.sync.finished_at  # noqa: S101 see above
        return self.sync.finished_at

    @property
    def waited(self) -> float:
        """Seconds since it was notified, by our own clock."""
        came = self.sync.received_at
        return max(0.0, (datetime.now(UTC) - came).total_seconds()) if came else 0.0


Seen: TypeAlias = tuple[Observed, FieldUpdate | None]
"""What was seen for one sync, and what is remembered after it."""


def observe(
    connection: Connection,
    planner: Planner,
    asked: Sequence[Asked],
    managers: Collection[str],
    recall: Callable[[ApplicationState], tuple[FieldPlace, FieldMemory]],
    deadline: float,
) -> list[Seen]:
    """Return what was seen for each of some syncs of one Application.

    Args:
        connection: who is asked.
        planner: the rules in force.
        asked: the syncs.
        managers: names that Argo CD goes by as a manager of fields.
        recall: returns what is remembered of an Application's fields.
        deadline: as `time.monotonic` counts.

    Raises:
        ConnectionFailed: nothing can be read now.
    """
    if not any(one.wanted for one in asked):
        return [(Observed(), None)] * len(asked)
    application = asked[-1].sync.application
    state = connection.application(application.namespace, application.name, deadline)
    if isinstance(state, Unreadable):
        return [(one.unread(state.reason), None) for one in asked]
    others = list(resources_of(state)) if any(one.wanted.unlisted for one in asked) else []
    looks = [_Look.of(one, state, planner, others) for one in asked]
    found = _read(connection, state, looks, deadline)
    healths = read_health(connection, state, list(map(_of_health, asked)), deadline)
    seen = _compare(looks, found, managers, lambda: recall(state))
    told = zip((seen[one.sync.id] for one in asked), healths, strict=True)
    return [(replace(observed, health=health), update) for (observed, update), health in told]


def _of_health(asked: Asked) -> dict[int, ObjectRef]:
    return {number: ref_of(asked.sync.resources[number]) for number in asked.wanted.health}


def _compare(
    looks: Sequence[_Look],
    found: Mapping[ObjectRef, LiveObject | Unreadable],
    managers: Collection[str],
    recall: Callable[[], tuple[FieldPlace, FieldMemory]],
) -> dict[str, Seen]:
    """Return what was seen by the sync's id, but for the health."""
    keeps = any(asks.remembers for look in looks for _, _, asks in look.asks)
    place, memory = recall() if keeps else (None, FieldMemory())
    seen = dict[str, Seen]()
    for look in sorted(looks, key=_when):
        compared = FieldLook(memory)
        observed = look.observed(found, managers, compared)
        update = FieldUpdate(place, compared.news) if place and compared.news else None
        seen[look.asked.sync.id] = observed, update
    return seen


def _when(look: _Look) -> tuple[int, int]:
    """The older sync is compared first."""
    by = look.asked.operation
    return by.when if by else (finished_ms(look.asked.sync), 0)


def _read(
    connection: Connection, state: ApplicationState, looks: Sequence[_Look], deadline: float
) -> Mapping[ObjectRef, LiveObject | Unreadable]:
    """Read objects, those whole of which a rule asks for fields.

    Raises:
        ConnectionFailed: nothing can be read now.
    """
    refs = {*chain.from_iterable(look.refs for look in looks)}
    whole = {ref for look in looks for _, ref, asks in look.asks if asks.fields}
    names = _annotations(asks for look in looks for _, _, asks in look.asks)
    found = dict[ObjectRef, LiveObject | Unreadable]()
    for some, content in ((refs - whole, False), (whole, True)):
        if some:
            found |= connection.live(
                state, sorted(some), deadline=deadline, content=content, annotations=names
            )
    return found


def _annotations(asked: Iterable[Asks]) -> Collection[str] | None:
    """Return the names of the annotations that are asked for, None if that may be any."""
    names = set[str]()
    for asks in asked:
        if asks.every_annotation:
            return None
        names |= asks.annotations
    return names


@dataclass(frozen=True, slots=True)
class _Look:
    """What is looked for in behalf of one sync, by what names it in the cluster."""

    asked: Asked
    state: ApplicationState
    listed: Mapping[int, ObjectRef]
    unlisted: Mapping[Unlisted, ObjectRef]
    asks: Sequence[tuple[str, ObjectRef, Asks]]

    @classmethod
    def of(
        cls, asked: Asked, state: ApplicationState, planner: Planner, others: Sequence[Resource]
    ) -> _Look:
        wanted, sync = asked.wanted, asked.sync
        missing = planner.unlisted(sync, others) if wanted.unlisted else []
        asks = chain(
            _asks(sync.resources, wanted.asks),
            _asks(missing, planner.matcher.live.asks_of_others(sync, missing)),
        )
        return cls(
            asked,
            state,
            {number: ref_of(sync.resources[number]) for number in wanted.listed},
            {Unlisted(one.group, one.version, one.kind, one.namespace, one.name): ref_of(one)
             for one in missing},
            [*asks],
        )  # fmt: skip

    @property
    def refs(self) -> Iterator[ObjectRef]:
        yield from self.listed.values()
        yield from self.unlisted.values()
        yield from (ref for _, ref, _ in self.asks)

    def observed(
        self,
        found: Mapping[ObjectRef, LiveObject | Unreadable],
        managers: Collection[str],
        fields: FieldLook,
    ) -> Observed:
        """Of what is not listed only what the sync changed counts."""
        listed = {n: self._see(found[ref], managers) for n, ref in self.listed.items()}
        others = {one: self._see(found[ref], managers) for one, ref in self.unlisted.items()}
        unlisted = {one: seen for one, seen in others.items() if self._changed(seen)}
        by = self.asked.operation
        there = {self.asked.sync.resources[n].key for n in self.asked.wanted.asks}
        there |= {one.key for one in unlisted}
        told, failed = dict[str, Live](), self._failed
        for key, ref, asks in self.asks:
            if key in there:
                seen = self._see(found[ref], managers)
                doubtful = may_have_changed(failed.get(key), seen)
                told[key] = fields.live(found[ref], seen, asks, by, doubtful=doubtful)
        return Observed(listed, unlisted, told=told)

    @property
    def _failed(self) -> dict[str, Trace]:
        """What failed syncs did to what the sync lists, by the resource's key."""
        resources = self.asked.sync.resources
        return {resources[n].key: one for n, one in self.asked.stored.recalled.failed.items()}

    def _see(self, found: LiveObject | Unreadable, managers: Collection[str]) -> Sighting:
        """Return what an object tells, as far as the clocks agree."""
        finished = self.asked.sync.finished_at
        seen = sight(found, finished, managers)
        if isinstance(found, Unreadable) or seen.unreadable or finished is None:
            return seen
        if behind := find_behind(self.state, found):
            return Sighting(unreadable=behind)
        ahead = find_ahead(self.state, found, finished, self.asked.waited)
        return Sighting(unreadable=ahead) if ahead and self._changed(seen) else seen

    def _changed(self, seen: Sighting) -> bool:
        change = judge(seen, self.asked.started, self.asked.finished)
        return change.verdict is ChangeVerdict.CHANGED


def resources_of(state: ApplicationState) -> Iterator[Resource]:
    """Yield all that belongs to an Application now, as entries of a list."""
    for one in state.resources:
        ref = one.ref
        entry = Unlisted(ref.group, ref.version, ref.kind, ref.namespace, ref.name)
        yield entry.as_resource(Change(ChangeVerdict.UNKNOWN, "not listed"))


def _asks(
    resources: Sequence[Resource], asks: Mapping[int, Asks]
) -> Iterator[tuple[str, ObjectRef, Asks]]:
    for number, one in asks.items():
        yield resources[number].key, ref_of(resources[number]), one


def ref_of(one: Resource) -> ObjectRef:
    """Return what names its object."""
    return ObjectRef(one.group, one.version, one.kind, one.namespace, one.name)


def sight(
    found: LiveObject | Unreadable, finished: datetime | None, managers: Collection[str]
) -> Sighting:
    """Return when what happened to an object, if the clocks agree that the operation has ended."""
    if isinstance(found, Unreadable):
        return Sighting(unreadable=found.reason[:REASON])
    if found.read_at and finished and found.read_at < finished:
        return Sighting(
            unreadable=f"the API server's clock says {rfc3339(found.read_at)}, before the end of "
            "this operation by Argo CD's clock"
        )
    fields = ((one.manager, one.subresource, one.time) for one in found.managers)
    return Sighting(changes_by(managers, fields), found.created)
