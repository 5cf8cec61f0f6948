"""Gap repair: what Argo CD did not notify of is read from the Applications themselves.

One watches the Applications of a sender; another looks, a while after each operation's end, whether
the ledger has its sync. If not, the Application is read and stored by the intake's own door, under
the identity that a notification would have: whichever of the two comes second is a duplicate. What
the next operation has overwritten by then is not there any more; it becomes an event.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING

from sqlalchemy import Connection as SqlConnection

from receiver.argocd.connection import Connection, ConnectionFailed
from receiver.argocd.objects import ApplicationState
from receiver.core.errors import LedgerUnavailable, PayloadError
from receiver.core.logs import Log, write_event
from receiver.core.model import Event, Json, from_ms, rfc3339
from receiver.core.threads import SupervisedThread
from receiver.dispatcher.outage import Outage
from receiver.dispatcher.reading import Reading
from receiver.dispatcher.sightings import Sightings
from receiver.ledger.audit.trail import append_events
from receiver.ledger.engine.ledger import Ledger, LockMode
from receiver.ledger.inbox.deliveries import Arrival
from receiver.ledger.inbox.group_commit import IntakeWriter
from receiver.ledger.inbox.recovery import (
    Operation,
    first_use,
    store_missed,
    unknown_operations,
    wording_of,
)
from receiver.notification.parse import CHANNEL, read_notification
from receiver.notification.recovered import Wording, recovered_body
from receiver.notification.resource_list import too_many
from receiver.settings.model import Settings

if TYPE_CHECKING:
    from receiver.tracing.tracing import Tracing

TERM = 30.0
"""Seconds for which one dispatcher repairs; then any may take over, or it goes on."""

ELSEWHERE = 5.0
"""Seconds until a dispatcher that does not repair asks again whether it is to."""

ANEW = 3600.0
"""Seconds of a watch: then all Applications are read anew, for what a watch may lose in silence."""

BATCH = 200
"""Operations that one question to the ledger is about."""

LONGEST_READ = 20.0
"""Seconds that reading one Application may take."""

TICK = 1.0
"""Seconds between two looks at what is due."""

PATIENCE = 5.0
"""Seconds that a stop waits for the Application that is being read."""


class GapRepair:
    """Recovers what one sender's notifications leave out, in two threads of its own.

    Args:
        sender: whose Applications.
        connection: how they are asked for.
        ledger: of its own: as the intake's it leaves the disk's reserve alone.
        settings: when an operation is acted upon, and what the sender's connection is for.
        wake: called when syncs can be planned.
        log: gets the lines of the trail.
        tracing: writes spans, None if nobody does.
    """

    def __init__(
        self, sender: str, connection: Connection, ledger: Ledger, settings: Settings,
        wake: Callable[[], None], log: Log, tracing: Tracing | None = None,
    ) -> None:  # fmt: skip
        own = settings.argocd[sender]
        grace = 0.0 if own.intake == "watch" else own.recover_after
        self._why = f"no notification of it had come {grace:g} s after its end was seen"
        if own.intake == "watch":
            self._why = "the Applications are watched instead of notified of"
        self._sender = sender
        self._connection = connection
        self._ledger = ledger
        self._settings = settings
        self._wake = wake
        self._writer = IntakeWriter(ledger, self._stored, reaches=settings.tenants is not None)
        self._log = log
        self._tracing = tracing
        self._sightings = Sightings(grace)
        self._watch_outage = Outage.of_connection(
            sender, connection, "watch Applications", ledger, log
        )
        self._reading = Reading(
            Outage.of_connection(sender, connection, "read an Application", ledger, log)
        )
        self._blind = False
        self._ours = threading.Event()
        self._woken = threading.Event()
        self._stopped = threading.Event()
        self._watcher = SupervisedThread(f"application-watch-{sender}", self._watch)
        self._repairer = SupervisedThread(f"gap-repair-{sender}", self._repair)

    def start(self) -> None:
        """Start the threads."""
        self._writer.start()
        self._watcher.start()
        self._repairer.start()

    def notify(self) -> None:
        """Do nothing: what was planned is no news here."""

    def stop(self) -> None:
        """End after the Application that is being read; a watch ends with the process."""
        self._stopped.set()
        self._woken.set()
        self._repairer.join(PATIENCE)
        self._writer.stop()

    def _stored(self, at: datetime, events: Sequence[Event]) -> None:
        self._wake()
        self._tell(at, events)

    def _tell(self, at: datetime, events: Sequence[Event]) -> None:
        for event in events:
            write_event(self._log, event, rfc3339(at))

    def _watch(self) -> None:
        """Note what the Applications tell, for as long as repairing them is ours."""
        while not self._stopped.is_set():
            if not self._ours.wait(TICK):
                continue
            try:
                self._follow()
            except LedgerUnavailable as error:
                self._log.error("ledger.unavailable", reason=str(error))
                self._stopped.wait(TICK)

    def _follow(self) -> None:
        try:
            for summary in self._connection.watch(time.monotonic() + ANEW):
                self._watch_outage.over()
                self._sightings.note(summary)
                self._woken.set()
                if self._stopped.is_set() or not self._ours.is_set():
                    break
        except ConnectionFailed as error:
            self._stopped.wait(self._watch_outage.failed(str(error)))

    def _repair(self) -> None:
        while not self._stopped.is_set():
            mine = False
            try:
                with self._ledger.exclusive_task(
                    f"gap repair {self._sender}", lasts=TERM + 2 * LONGEST_READ
                ) as mine:
                    if mine:
                        self._repair_for_a_term()
            except LedgerUnavailable as error:
                self._log.error("ledger.unavailable", reason=str(error))
                mine = False
            if not mine:
                self._ours.clear()
                self._stopped.wait(ELSEWHERE)

    def _repair_for_a_term(self) -> None:
        until = time.monotonic() + TERM
        with self._ledger.write() as connection:
            self._sightings.begin(self._oldest(connection))
        self._ours.set()
        while not self._stopped.is_set() and time.monotonic() < until:
            self._round()
            self._woken.wait(TICK)
            self._woken.clear()

    def _round(self) -> None:
        """Look what became of the operations that are due, and repair those that are missing."""
        self._reading.forget(self._sightings.unsettled)
        due, since = self._sightings.due(BATCH), self._sightings.since
        if not due:
            return
        with self._ledger.read() as connection:
            missing = unknown_operations(connection, self._sender, due, since)
            wording = wording_of(connection, self._sender) if missing else Wording()
        wanted = [one for one in missing if one.recognisable(wording)]
        if not wording.finished_at:
            self._tell_blind()
        self._sightings.settle(set(due).difference(wanted))
        for _, together in groupby(wanted, lambda one: one.application):
            if self._stopped.is_set() or not self._one(list(together), wording):
                return

    def _tell_blind(self) -> None:
        if not self._blind:
            self._blind = True
            self._log.warning(
                "recovery.blind", sender=self._sender,
                hint="the sender's notifications do not say when an operation started or finished, "
                "so nobody can tell which are missing; `postsync argocd-config` prints a template "
                "that does",
            )  # fmt: skip

    def _oldest(self, connection: SqlConnection) -> datetime:
        """Return the end of the oldest operation that is recovered and acted upon."""
        now = from_ms(self._ledger.now(connection))
        act_since = self._settings.act_since or from_ms(
            first_use(connection, self._sender, self._ledger.now(connection))
        )
        # Argo CD writes whole seconds: an operation of the second in which we came is ours.
        return max(
            act_since - timedelta(seconds=1), now - timedelta(seconds=self._settings.max_age)
        )

    def _one(self, operations: Sequence[Operation], wording: Wording) -> bool:
        """Repair what is missing of one Application; return whether the connection works."""
        first = operations[0]
        try:
            deadline = time.monotonic() + LONGEST_READ
            state = self._connection.application(first.namespace, first.name, deadline)
            if isinstance(state, ApplicationState):
                self._store(state, operations, wording)
            elif not state.gone:
                wait = self._reading.refused(first.application, state.reason)
                self._sightings.postpone(operations, wait)
                return True
        except ConnectionFailed as error:
            self._sightings.postpone(operations, self._reading.failed(str(error)))
            return False
        except LedgerUnavailable:
            raise
        except Exception:  # noqa: BLE001 one Application holds up no other
            self._log.error(
                "recovery.bug", application=first.application, traceback=traceback.format_exc()
            )
            self._sightings.try_again(operations)
            return True
        self._sightings.settle(operations)
        self._reading.worked(first.application)
        return True

    def _store(
        self, state: ApplicationState, operations: Sequence[Operation], wording: Wording
    ) -> None:
        """Recover the Application's last operation; tell of those that it has overwritten."""
        missed: dict[Operation, dict[str, Json]] = {}
        last = state.summary
        history = {one.started_at: one for one in state.history}
        for one in operations:
            if (one.started_at, one.finished_at) == (last.started_at, last.finished_at):
                self._recover(state, wording)
                continue
            about: dict[str, Json] = {"toldBy": "watch"}
            if deployed := history.get(one.started_at):
                about = {"toldBy": "history", "id": deployed.id, "revision": deployed.revision}
                about |= {"initiatedBy": deployed.initiated_by} if deployed.initiated_by else {}
                if deployed.deployed_at:
                    about["deployedAt"] = rfc3339(deployed.deployed_at)
            missed[one] = about
        if missed:
            self._store_missed(missed)

    def _recover(self, state: ApplicationState, wording: Wording) -> None:
        """Store the last operation as the intake stores a notification of it."""
        body = recovered_body(state.body, wording)
        now = datetime.now(UTC)
        most = self._settings.max_resources
        try:
            read = read_notification(
                body, sender=self._sender, channel=CHANNEL, query={}, resources=False, now=now,
                most=most,
            )  # fmt: skip
        except PayloadError as error:
            refusal = f"{error.reason}: {error.message}"
            arrival = Arrival(self._sender, CHANNEL, body, now, None, refusal=refusal)
        else:
            failure = too_many(read.listed, most)
            arrival = Arrival(
                self._sender, CHANNEL, body, now, read, failure=failure, recovered=self._why
            )
        self._submit(arrival)

    def _submit(self, arrival: Arrival) -> None:
        span = self._tracing.recovery() if self._tracing and arrival.notification else None
        if span is None or arrival.notification is None:
            self._writer.submit(arrival)
            return
        receipt = self._writer.submit(replace(arrival, trace=span.stored))
        span.received(receipt, arrival.notification.sync)
        span.end()

    def _store_missed(self, missed: Mapping[Operation, dict[str, Json]]) -> None:
        with self._ledger.write(LockMode.APPEND) as connection:
            now = self._ledger.now(connection)
            still = unknown_operations(
                connection, self._sender, list(missed), self._sightings.since
            )
            events = store_missed(
                connection, now, self._sender, {one: missed[one] for one in still}
            )
            append_events(connection, now, events)
        self._tell(from_ms(now), events)
