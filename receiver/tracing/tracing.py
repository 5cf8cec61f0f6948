"""All spans of a process."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from receiver.core.model import Event
from receiver.ledger.queue.claim import ClaimedRun
from receiver.tracing.attempts import AttemptSpan
from receiver.tracing.contexts import Contexts
from receiver.tracing.harmless import harmless
from receiver.tracing.notifications import NotificationSpan
from receiver.tracing.provider import Provider
from receiver.tracing.story import Story


class Tracing:
    """Begins spans, and writes those of what is on the trail."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._contexts = Contexts()
        self._story = Story(provider, self._contexts)

    @harmless
    def notification(self, environ: Mapping[str, Any], route: str) -> NotificationSpan:
        """Begin the span of a request with a valid token."""
        return NotificationSpan.of_request(self._provider.tracer, environ, route)

    @harmless
    def recovery(self) -> NotificationSpan:
        """Begin the span of a sync that no notification came of."""
        return NotificationSpan.of_recovery(self._provider.tracer)

    def load(self, connection: Connection, syncs: Collection[str]) -> None:
        """Read the traces of syncs that `tell` and `attempt` will be asked about."""
        self._contexts.load(connection, syncs)

    @harmless
    def tell(self, events: Sequence[Event]) -> None:
        """Write the spans of events that are committed."""
        self._story.tell(events)

    @harmless
    def attempt(self, run: ClaimedRun) -> AttemptSpan | None:
        """Begin the span of an attempt, if its sync has a trace."""
        traced = self._contexts.get(run.sync)
        return traced and AttemptSpan(self._provider.tracer, traced, run)

    def stop(self) -> None:
        """Send what is not sent yet; that takes two seconds at most."""
        self._provider.stop()
