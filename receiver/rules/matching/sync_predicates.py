"""The predicates of a rule's match over the sync and its application."""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter

from receiver.core.model import Sync
from receiver.rules.matching.predicates import Predicate, Predicates
from receiver.rules.schema import ApplicationMatch, Match


def sync_predicates(match: Match, predicates: Predicates) -> Iterator[Predicate[Sync]]:
    """Yield the predicates of a match, in the order in which they are tested."""
    yield predicates.text("channel", attrgetter("channel"), match.channel)
    yield _phases(match, predicates)
    if match.sender is not None:
        yield predicates.text("sender", attrgetter("sender"), match.sender)
    yield from _application(match.application, predicates)


def phases_of(match: Match) -> frozenset[str]:
    """Return the phases that a match accepts.

    An event without an operation (on a channel other than ``sync``) has no phase; only a
    rule that names phases itself requires one.
    """
    return frozenset(match.phases if "phases" in match.model_fields_set else (*match.phases, ""))


def _phases(match: Match, predicates: Predicates) -> Predicate[Sync]:
    accepted = phases_of(match)
    mode = "" if "phases" in match.model_fields_set else "default"
    read = attrgetter("phase")
    return predicates.make("phases", read, match.phases, accepted.__contains__, mode=mode)


def _application(wanted: ApplicationMatch, predicates: Predicates) -> Iterator[Predicate[Sync]]:
    for field in ("name", "namespace", "project"):
        yield from _text(wanted, "application", field, predicates)
    for label, patterns in wanted.labels.items():
        yield _label(label, patterns, predicates)
    for field in ("server", "name", "namespace") if wanted.destination else ():
        yield from _text(wanted.destination, "application.destination", field, predicates)


def _text(
    wanted: object, parent: str, field: str, predicates: Predicates
) -> Iterator[Predicate[Sync]]:
    patterns = getattr(wanted, field)
    if patterns is not None:
        path = f"{parent}.{field}"
        yield predicates.text(path, attrgetter(path), patterns)


def _label(label: str, patterns: tuple[str, ...], predicates: Predicates) -> Predicate[Sync]:
    accept = predicates.globs(patterns).accept

    def read(sync: Sync) -> str | None:
        return sync.application.labels.get(label)

    def is_there(value: str | None) -> bool:
        return value is not None and accept(value)

    return predicates.make(f"application.labels.{label}", read, patterns, is_there)
