"""Trace contexts: W3C's headers, what is stored with a sync, and the ids of spans.

Stored is a ``traceparent`` as the header has it, and after a space its ``tracestate`` if it has
any. It names the span of the notification. That of a plan is made of the plan's id: so every
process knows the parent of an attempt, whoever has written that, and nothing more is stored.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from hashlib import sha256
from threading import Lock, local
from typing import NamedTuple

from opentelemetry.context import Context
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from sqlalchemy import Connection

from receiver.ledger.plans.load import stored_traces

LONGEST_STATE = 512
"""Characters of a ``tracestate`` that must be passed on, by W3C; of a longer one nothing is."""

KEPT = 4_096
"""Syncs whose contexts are kept in memory; those of others are read again."""

_PROPAGATOR = TraceContextTextMapPropagator()


def read_headers(traceparent: str, tracestate: str = "") -> SpanContext | None:
    """Return the context that two headers tell, None if they tell none."""
    state = tracestate if len(tracestate) <= LONGEST_STATE else ""
    carrier = {"traceparent": traceparent, "tracestate": state}
    context = get_current_span(_PROPAGATOR.extract(carrier, Context())).get_span_context()
    return context if context.is_valid else None


def headers_of(context: SpanContext) -> dict[str, str]:
    """Return the headers that pass a context on."""
    carrier = dict[str, str]()
    _PROPAGATOR.inject(carrier, below(context))
    return carrier


def below(context: SpanContext | None) -> Context:
    """Return what makes a new span a child of this one; None makes it the first of a trace."""
    plain = Context()
    return plain if context is None else set_span_in_context(NonRecordingSpan(context), plain)


def stored_text(context: SpanContext) -> str:
    """Return a context as it is stored."""
    headers = headers_of(context)
    return f"{headers['traceparent']} {headers.get('tracestate', '')}".strip()


def of_plan(context: SpanContext, plan: str) -> SpanContext:
    """Return the context of a plan's span in the trace of this one."""
    return SpanContext(
        context.trace_id, _plan_span(plan), True, context.trace_flags, context.trace_state
    )


def _plan_span(plan: str) -> int:
    return int.from_bytes(sha256(plan.encode()).digest()[:8])


class PlanIds(RandomIdGenerator):
    """Random ids, but for the spans of plans."""

    def __init__(self) -> None:
        self._next = local()

    def generate_span_id(self) -> int:
        """Return the id of the next span."""
        found: int | None = getattr(self._next, "span", None)
        return found or super().generate_span_id()

    @contextmanager
    def of(self, plan: str) -> Iterator[None]:
        """Give the span that this thread starts in the block the id of a plan's."""
        self._next.span = _plan_span(plan)
        try:
            yield
        finally:
            self._next.span = None


class Traced(NamedTuple):
    """A sync that has a trace: the context of its notification, and its Application."""

    context: SpanContext
    application: str


class Contexts:
    """What is known of syncs' traces in this process."""

    def __init__(self) -> None:
        self._kept: dict[str, Traced | None] = {}
        self._lock = Lock()

    def load(self, connection: Connection, syncs: Collection[str]) -> None:
        """Read those that are not known, by one statement if there are any."""
        missing = [sync for sync in syncs if sync and sync not in self._kept]
        if not missing:
            return
        found = stored_traces(connection, missing)
        with self._lock:
            for sync in missing:
                self._kept[sync] = _read(*found[sync]) if sync in found else None
            while len(self._kept) > KEPT:
                del self._kept[next(iter(self._kept))]

    def get(self, sync: str) -> Traced | None:
        """Return a sync's trace, None if it has none."""
        return self._kept.get(sync)


def _read(text: str, application: str) -> Traced | None:
    parent, _, state = text.partition(" ")
    context = read_headers(parent, state)
    return None if context is None else Traced(context, application)
