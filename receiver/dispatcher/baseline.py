"""Baselines: the values of the fields that rules ask for, read before a sync could change them.

One worker for each sender that has a connection. When rules ask for other fields than before, and
once a day, it goes through the Applications that these rules are for, and stores the values of
which nothing is known yet, as they are after the last operation. So the first sync that changes a
field is no first sight of it. A process that is killed meanwhile leaves the rest to the next.
"""

from __future__ import annotations

import time
import traceback
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from receiver.argocd.connection import Connection, ConnectionFailed
from receiver.argocd.objects import ApplicationSummary, LiveObject, ObjectRef, Unreadable
from receiver.core.errors import LedgerUnavailable
from receiver.core.logs import Log
from receiver.core.model import Application, Event, Json, Resource, Sync
from receiver.dispatcher.companion import IDLE, CompanionThread
from receiver.dispatcher.live_facts import field_values, is_secret, owner_by
from receiver.dispatcher.observation import ref_of, resources_of, sight
from receiver.dispatcher.outage import Outage
from receiver.ledger.audit.key_values import get_value, put_value
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.plans.field_values import (
    FieldPlace,
    FieldUpdate,
    begin_fields,
    load_fields,
    tidy_fields,
)
from receiver.notification.field_memory import FieldKey, FieldMemory, Remembered, canonical
from receiver.planning.planner import Planner

MOST = 5_000
"""Applications of one pass."""

TOGETHER = 5
"""Applications of one round, after which the rules are looked at again."""

PAUSE = 1.0
"""Seconds between two rounds at least: a baseline has time, and others ask the same server."""

LONGEST_READ = 20.0
"""Seconds that one Application may be read."""

LONGEST_LIST = 60.0
"""Seconds that the list of all may take."""

DAY_MS = 86_400_000
AGAIN_MS = 3_600_000
"""After so long Applications that are new have their turn, and sooner where some were skipped."""

RULE_SETS = 8
"""So many rule sets are known to have had their pass: dispatchers may have different ones, as while
rules change."""

NAMED = 5
"""Applications that a line of the trail names."""


@dataclass(slots=True)
class _Pass:
    """One way through the Applications, and what came of it."""

    rules: str
    left: deque[ApplicationSummary]
    beyond: int = 0
    applications: int = 0
    skipped: dict[str, str] = field(default_factory=dict)


class Baseline(CompanionThread):
    """Takes the baselines of one sender's Applications, in a thread of its own.

    Args:
        sender: whose Applications.
        connection: how they are asked for.
        ledger: where the values are stored.
        planner: returns the rules in force.
        managers: names that Argo CD goes by as a manager of fields.
        log: gets the lines of the trail.
    """

    def __init__(
        self, sender: str, connection: Connection, ledger: Ledger,
        planner: Callable[[], Planner | None], managers: Collection[str], log: Log,
    ) -> None:  # fmt: skip
        super().__init__(f"baseline-{sender}", ledger, lambda: None, log, pause=PAUSE)
        self._sender = sender
        self._connection = connection
        self._planner = planner
        self._managers = managers
        self._outage = Outage.of_connection(sender, connection, "read fields", ledger, log)
        self._pass: _Pass | None = None

    @property
    def _key(self) -> str:
        return f"fields {self._sender}"

    def _round(self) -> float:
        """Take the next baselines; return the seconds until the next round."""
        planner = self._planner()
        if planner is None or not self._is_due(planner):
            return IDLE
        with self._ledger.exclusive_task(
            f"baseline {self._sender}", lasts=LONGEST_LIST + 2 * TOGETHER * LONGEST_READ
        ) as mine:
            if not mine:
                return IDLE
            try:
                return self._go_on(planner)
            except ConnectionFailed as error:
                return self._outage.failed(str(error))

    def _is_due(self, planner: Planner) -> bool:
        """Whether no pass has looked for what these rules ask for, or that is long ago."""
        with self._ledger.read() as connection:
            done = get_value(connection, self._key)
            now = self._ledger.now(connection)
        if done is None:
            return bool(planner.fields.paths)
        return bool(done.get(planner.fields.digest, 0) < now)

    def _go_on(self, planner: Planner) -> float:
        under_way = self._pass
        if under_way is None or under_way.rules != planner.fields.digest:
            under_way = self._pass = self._begin(planner)
        for _ in range(min(TOGETHER, len(under_way.left))):
            if self._stopping:
                return 0.0
            self._take_one(planner, under_way)
        if under_way.left:
            return 0.0
        self._end(under_way)
        self._pass = None
        return IDLE

    def _begin(self, planner: Planner) -> _Pass:
        """List the Applications; what nobody has asked for long is deleted."""
        paths = planner.fields.paths
        listed: list[ApplicationSummary] = []
        if paths:
            listed = self._connection.applications(time.monotonic() + LONGEST_LIST)
            self._outage.over()
        with self._ledger.write() as connection:
            now = self._ledger.now(connection)
            # An account that may see none any more is no proof that all are gone.
            there = {one.key for one in listed} or None
            tidy_fields(connection, now, self._sender, there, paths)
        compares = planner.matcher.live.compares_fields_of
        ours = [one for one in listed if compares(_sync_of(self._sender, one))]
        return _Pass(planner.fields.digest, deque(ours[:MOST]), beyond=len(ours[MOST:]))

    def _take_one(self, planner: Planner, this: _Pass) -> None:
        """Take the next Application's; where the connection fails, once more after the others.

        Raises:
            ConnectionFailed: nothing can be read now.
        """
        one = this.left.popleft()
        tried = one.key in this.skipped
        try:
            this.skipped[one.key] = self._take(planner, one)
        except ConnectionFailed as error:
            this.skipped[one.key] = str(error)
            if not tried:
                this.left.append(one)
            raise
        except LedgerUnavailable:
            this.left.appendleft(one)
            raise
        except Exception as error:  # noqa: BLE001 a bug with one holds up no other, and is told
            self._log.error("baseline.bug", traceback=traceback.format_exc())
            this.skipped[one.key] = f"not read: {type(error).__name__}; see the log"
        if not this.skipped[one.key]:
            del this.skipped[one.key]
            this.applications += 1

    def _take(self, planner: Planner, listed: ApplicationSummary) -> str:
        """Read one Application's fields; return why nothing can be told by them, or "".

        Raises:
            ConnectionFailed: nothing can be read now.
        """
        until = time.monotonic() + LONGEST_READ
        state = self._connection.application(listed.namespace, listed.name, until)
        self._outage.over()
        if isinstance(state, Unreadable):
            return state.reason
        if state.summary.phase not in {"", "Succeeded"}:
            # Nobody knows what it has changed by now.
            return f"its last operation is {state.summary.phase}"
        place = FieldPlace.of(self._sender, state)
        memory = load_fields(self._ledger, place)
        wanted = _wanted(planner, _sync_of(self._sender, state.summary, resources_of(state)))
        wanted = {ref: one for ref, one in wanted.items() if not one.known_in(memory)}
        if not wanted:
            return ""
        found = self._connection.live(state, sorted(wanted), deadline=until, content=True)
        again = self._connection.application(listed.namespace, listed.name, until)
        if isinstance(again, Unreadable) or again.summary != state.summary:
            return "it changed while it was read"
        values = self._values(wanted, found, state.summary, memory.digest_key)
        self._commit(lambda uow: begin_fields(uow, FieldUpdate(place, values)))
        return ""

    def _values(
        self, wanted: Mapping[ObjectRef, _Wanted],
        found: Mapping[ObjectRef, LiveObject | Unreadable], last: ApplicationSummary,
        digest_key: bytes,
    ) -> dict[FieldKey, Remembered]:  # fmt: skip
        """Return the values of what has not been changed since the last operation."""
        finished = last.finished_at
        when = _ms(finished), _ms(last.started_at)
        values = dict[FieldKey, Remembered]()
        for ref, one in wanted.items():
            there = found[ref]
            seen = sight(there, finished, self._managers)
            later = finished and seen.moments and seen.moments[-1][0] > finished
            if isinstance(there, Unreadable) or seen.unreadable or later:
                continue
            for path, value in field_values(there, one.paths).items():
                text = canonical(value, digest_key, secret=is_secret(ref))
                values[one.owner, path] = Remembered(text, None, *when)
        return values

    def _end(self, done: _Pass) -> None:
        """Tell what came of it; what was skipped has its turn again soon."""
        skipped: list[Json] = [f"{one}: {why}" for one, why in done.skipped.items()]
        data: dict[str, Json] = {
            "sender": self._sender, "applications": done.applications, "skipped": len(skipped),
        }  # fmt: skip
        data |= {"reasons": skipped[:NAMED]} if skipped else {}
        data |= {"beyond": done.beyond} if done.beyond else {}
        seldom = AGAIN_MS if skipped else DAY_MS

        def write(uow: UnitOfWork) -> None:
            known = (get_value(uow.connection, self._key) or {}) | {done.rules: uow.now + seldom}
            newest = sorted(known, key=known.__getitem__)[-RULE_SETS:]
            put_value(uow.connection, self._key, {one: known[one] for one in newest})
            if done.applications or skipped:
                uow.events.append(Event("fields.read", data))

        self._commit(write)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The paths that rules will ask for of an object, by which its fields are remembered."""

    owner: str
    paths: frozenset[str]

    def known_in(self, memory: FieldMemory) -> bool:
        return all((self.owner, path) in memory.known for path in self.paths)


def _ms(at: datetime | None) -> int:
    return int(at.timestamp() * 1000) if at else 0


def _wanted(planner: Planner, sync: Sync) -> dict[ObjectRef, _Wanted]:
    resources = sync.resources
    return {
        (ref := ref_of(resources[number])): _Wanted(owner_by(ref), paths)
        for number, paths in planner.matcher.live.fields_to_know(sync).items()
    }


def _sync_of(sender: str, app: ApplicationSummary, resources: Iterable[Resource] = ()) -> Sync:
    """Return a sync of an Application, by which it is found which rules are for that."""
    application = Application(app.name, app.namespace, app.project, app.uid, app.labels)
    return Sync(sender, "sync", application, "Succeeded", None, None, resources=tuple(resources))
