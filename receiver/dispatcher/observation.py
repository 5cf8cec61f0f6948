"""What the live objects of an Application tell of its syncs, in one reading."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain

from receiver.argocd.connection import Connection
from receiver.argocd.objects import ApplicationState, LiveObject, ObjectRef, Unreadable
from receiver.core.model import Change, ChangeVerdict, Event, Json, Live, Resource, Sync, rfc3339
from receiver.dispatcher.clock_doubt import find_ahead, find_behind
from receiver.dispatcher.live_facts import live_texts
from receiver.dispatcher.resource_health import REASON, count_health, first_unknown, read_health
from receiver.ledger.plans.records import StoredSync
from receiver.notification.application_memory import with_recalled
from receiver.notification.live_verdicts import Observed, Sighting, Unlisted, changes_by, judge
from receiver.planning.planner import Planner, read_sync
from receiver.planning.truth import Wanted
from receiver.rules.matching.questions import Asks

MOST_NAMED = 50
"""Resources that a line of the trail names."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A sync that waits, with its verdicts by message, and what is to be read for it."""

    stored: StoredSync
    sync: Sync
    wanted: Wanted

    @classmethod
    def of(cls, stored: StoredSync, planner: Planner) -> Asked:
        """Read a sync; the rules in force say what is wanted."""
        sync = with_recalled(read_sync(stored), stored.recalled)
        return cls(stored, sync, planner.wanted(sync))

    def unread(self, reason: str) -> Observed:
        """Return that none of its objects could be read."""
        reason, resources = reason[:REASON], self.sync.resources
        return Observed(
            dict.fromkeys(self.wanted.listed, Sighting(unreadable=reason)),
            health=dict.fromkeys(self.wanted.health, ("", reason)),
            told={resources[n].key: Live(unknown=reason) for n in self.wanted.asks},
        )

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


def observe(
    connection: Connection,
    planner: Planner,
    asked: Sequence[Asked],
    managers: Collection[str],
    deadline: float,
) -> list[Observed]:
    """Return what was seen for each of some syncs of one Application.

    Args:
        connection: who is asked.
        planner: the rules in force.
        asked: the syncs.
        managers: names that Argo CD goes by as a manager of fields.
        deadline: as `time.monotonic` counts.

    Raises:
        ConnectionFailed: nothing can be read now.
    """
    if not any(one.wanted for one in asked):
        return [Observed() for _ in asked]
    application = asked[-1].sync.application
    state = connection.application(application.namespace, application.name, deadline)
    if isinstance(state, Unreadable):
        return [one.unread(state.reason) for one in asked]
    others = list(_resources_of(state)) if any(one.wanted.unlisted for one in asked) else []
    looks = [_Look.of(one, state, planner, others) for one in asked]
    refs = sorted({*chain.from_iterable(look.refs for look in looks)})
    found = connection.live(state, refs, deadline=deadline)
    healths = read_health(connection, state, list(map(_of_health, asked)), deadline)
    return [
        replace(look.observed(found, managers), health=health)
        for look, health in zip(looks, healths, strict=True)
    ]


def _of_health(asked: Asked) -> dict[int, ObjectRef]:
    return {number: _ref(asked.sync.resources[number]) for number in asked.wanted.health}


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
            _asks(missing, planner.asks_of_others(sync, missing)),
        )
        return cls(
            asked,
            state,
            {number: _ref(sync.resources[number]) for number in wanted.listed},
            {Unlisted(one.group, one.version, one.kind, one.namespace, one.name): _ref(one)
             for one in missing},
            [*asks],
        )  # fmt: skip

    @property
    def refs(self) -> Iterator[ObjectRef]:
        yield from self.listed.values()
        yield from self.unlisted.values()
        yield from (ref for _, ref, _ in self.asks)

    def observed(
        self, found: Mapping[ObjectRef, LiveObject | Unreadable], managers: Collection[str]
    ) -> Observed:
        """Of what is not listed only what the sync changed counts."""
        unlisted = {one: self._see(found[ref], managers) for one, ref in self.unlisted.items()}
        unlisted = {one: seen for one, seen in unlisted.items() if self._changed(seen)}
        listed = {n: self._see(found[ref], managers) for n, ref in self.listed.items()}
        there = {self.asked.sync.resources[n].key for n in self.asked.wanted.asks}
        there |= {one.key for one in unlisted}
        told = {key: live_texts(found[ref], asks) for key, ref, asks in self.asks if key in there}
        return Observed(listed, unlisted, told=told)

    def _see(self, found: LiveObject | Unreadable, managers: Collection[str]) -> Sighting:
        """Return what an object tells, as far as the clocks agree."""
        finished = self.asked.finished
        seen = _sighting(found, finished, managers)
        if isinstance(found, Unreadable) or seen.unreadable:
            return seen
        if behind := find_behind(self.state, found):
            return Sighting(unreadable=behind)
        ahead = find_ahead(self.state, found, finished, self.asked.waited)
        return Sighting(unreadable=ahead) if ahead and self._changed(seen) else seen

    def _changed(self, seen: Sighting) -> bool:
        change = judge(seen, self.asked.started, self.asked.finished)
        return change.verdict is ChangeVerdict.CHANGED


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


def _resources_of(state: ApplicationState) -> Iterator[Resource]:
    for one in state.resources:
        ref = one.ref
        entry = Unlisted(ref.group, ref.version, ref.kind, ref.namespace, ref.name)
        yield entry.as_resource(Change(ChangeVerdict.UNKNOWN, "not listed"))


def _asks(
    resources: Sequence[Resource], asks: Mapping[int, Asks]
) -> Iterator[tuple[str, ObjectRef, Asks]]:
    for number, one in asks.items():
        yield resources[number].key, _ref(resources[number]), one


def _ref(one: Resource) -> ObjectRef:
    return ObjectRef(one.group, one.version, one.kind, one.namespace, one.name)


def _sighting(
    found: LiveObject | Unreadable, finished: datetime, managers: Collection[str]
) -> Sighting:
    if isinstance(found, Unreadable):
        return Sighting(unreadable=found.reason[:REASON])
    if found.read_at and found.read_at < finished:
        return Sighting(
            unreadable=f"the API server's clock says {rfc3339(found.read_at)}, before the end of "
            "this operation by Argo CD's clock"
        )
    fields = ((one.manager, one.subresource, one.time) for one in found.managers)
    return Sighting(changes_by(managers, fields), found.created)
