"""The globs of a match, with their places, and those that want a negation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from receiver.core.validation import FieldError
from receiver.core.validation import Path as Place
from receiver.rules.schema.match import ApplicationExcept, Match, ResourceExcept


def globs_in(value: Any, place: Place) -> Iterator[tuple[Place, str]]:
    """Yield each glob below a part of a match, with its place."""
    if isinstance(value, BaseModel):
        for name, field in type(value).model_fields.items():
            if name != "condition":
                yield from globs_in(getattr(value, name), (*place, field.alias or name))
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from globs_in(inner, (*place, key))
    elif isinstance(value, tuple):
        for number, inner in enumerate(value):
            yield from globs_in(inner, (*place, number))
    elif isinstance(value, str):
        yield place, value


def negated(match: Match) -> Iterator[FieldError]:
    """Refuse globs that begin with an exclamation mark: they would match nothing."""
    for place, glob in globs_in(match, ("match",)):
        if glob.startswith("!"):
            path = place[:-1] if isinstance(place[-1], int) else place
            yield FieldError(path, f"{glob} is no negation: a glob has none", _way_out(path, glob))


def _way_out(path: Place, glob: str) -> str:
    owners: dict[str, type[BaseModel]] = {
        "application": ApplicationExcept,
        "resources": ResourceExcept,
    }
    part, key = str(path[1]), str(path[-1])
    inside = [step for step in path[2:] if not isinstance(step, int)]
    if part in owners and inside == [key] and key in owners[part].model_fields:
        return f"write not: {{{key}: {glob.removeprefix('!')}}} beside it"
    return "match.condition can say what is left out"
