"""Spans of what is told on the trail: made of its events, after they are committed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from time import time_ns

from opentelemetry.trace import Span, StatusCode

from receiver.core.model import Event, Json, made_at
from receiver.tracing.contexts import Contexts, Traced, below, of_plan
from receiver.tracing.provider import Provider

PLANNED = frozenset({"sync.planned", "sync.replayed", "sync.ignored", "sync.failed"})
"""What the planning of a sync ends with."""
ENDS = {f"plan.{end}": end for end in ("succeeded", "failed", "superseded", "cancelled")}
NUMBERS = ("resources", "rules", "matched")
MILLISECOND = 1_000_000


class Story:
    """Writes the spans of events whose syncs have a trace."""

    def __init__(self, provider: Provider, contexts: Contexts) -> None:
        self._tracer = provider.tracer
        self._ids = provider.ids
        self._contexts = contexts

    def tell(self, events: Sequence[Event]) -> None:
        """Write what these events tell; they are of one transaction, in its order."""
        now = time_ns()
        for sync, group in groupby(sorted(events, key=attrgetter("sync")), attrgetter("sync")):
            if traced := self._contexts.get(sync):
                self._tell(traced, list(group), now)

    def _tell(self, traced: Traced, events: Sequence[Event], now: int) -> None:
        joined = {event.plan for event in events if event.name == "plan.joined"}
        for event in events:
            if event.name in PLANNED:
                self._planned(traced, event, _beside(events), now)
            elif event.name == "rule.matched":
                self._begun(traced, event, now, joined=event.plan in joined)
            elif event.name in ENDS:
                self._ended(traced, event, now)
            elif event.name == "attempt.lost":
                self._lost(traced, event, now)

    def _planned(self, traced: Traced, event: Event, beside: Collection[Event], now: int) -> None:
        replay = event.name == "sync.replayed"
        attributes = {
            f"postsync.{key}": value
            for key in (*NUMBERS, "replay")
            if isinstance(value := event.data.get(key), int | str)
        }
        span = self._tracer.start_span(
            "plan sync", below(traced.context),
            attributes={**_about(traced, event), **attributes},
            start_time=now if replay else _since(event.sync, now),
        )  # fmt: skip
        for other in beside:
            span.add_event(other.name, _plain(other.data), now)
        _fail(span, event, failed=event.name == "sync.failed")
        span.end(now)

    def _begun(self, traced: Traced, event: Event, now: int, *, joined: bool) -> None:
        attributes = _about(traced, event, "rule", "mode", "runs")
        with self._ids.of(event.plan):
            span = self._tracer.start_span(
                f"rule {event.data['rule']}", below(traced.context), attributes=attributes,
                start_time=now if joined else _since(event.plan, now),
            )  # fmt: skip
        span.end(now)

    def _ended(self, traced: Traced, event: Event, now: int) -> None:
        attributes = _about(traced, event, "rule") | {"postsync.outcome": ENDS[event.name]}
        span = self._tracer.start_span(
            f"rule {event.data['rule']} ended", below(of_plan(traced.context, event.plan)),
            attributes=attributes, start_time=_since(event.plan, now),
        )  # fmt: skip
        _fail(span, event, failed=event.name == "plan.failed")
        span.end(now)

    def _lost(self, traced: Traced, event: Event, now: int) -> None:
        attributes = _about(traced, event) | {"postsync.outcome": "lost"}
        parent = below(of_plan(traced.context, event.plan))
        span = self._tracer.start_span(
            "attempt lost", parent, attributes=attributes, start_time=now
        )
        span.set_status(StatusCode.ERROR, "its process ended or fell silent")
        span.end(now)


def _about(traced: Traced, event: Event, *keys: str) -> dict[str, str | int]:
    """Return the attributes that an event's ids make, and these keys of its data."""
    ids = {name: getattr(event, name) for name in ("sync", "plan", "run", "attempt")}
    data = {key: value for key in keys if isinstance(value := event.data.get(key), int | str)}
    found = {f"postsync.{name}": value for name, value in {**ids, **data}.items() if value != ""}
    if not event.attempt:
        del found["postsync.attempt"]
    return {"postsync.application": traced.application, **found}


def _beside(events: Sequence[Event]) -> list[Event]:
    """Return what is told of a sync beside its plans and how its planning ended."""
    return [one for one in events if not (one.plan or one.run or one.name in PLANNED)]


def _plain(data: Mapping[str, Json]) -> dict[str, str | int | float]:
    return {key: value for key, value in data.items() if isinstance(value, str | int | float)}


def _fail(span: Span, event: Event, *, failed: bool) -> None:
    if failed:
        span.set_status(StatusCode.ERROR, str(event.data.get("reason", "")))


def _since(made: str, now: int) -> int:
    """Return when an id was made, in nanoseconds; clocks of several hosts may differ."""
    return min(made_at(made) * MILLISECOND, now)
