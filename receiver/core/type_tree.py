"""Walks the types of pydantic models: what may stand where, with which annotations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from types import UnionType
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel


class Slot(NamedTuple):
    """A type that a value can have in its place, and the annotations of that type there."""

    kind: Any
    marks: tuple[object, ...] = ()

    @property
    def is_model(self) -> bool:
        """Whether a mapping of this type has the keys of a model."""
        return isinstance(self.kind, type) and issubclass(self.kind, BaseModel)

    @property
    def is_union(self) -> bool:
        """Whether there are several types to choose from."""
        return get_origin(self.kind) in {Union, UnionType}

    def has(self, mark: type) -> bool:
        """Whether it is annotated with an instance of this class."""
        return any(isinstance(one, mark) for one in self.marks)


def slot_of(kind: Any, marks: tuple[object, ...] = ()) -> Slot:
    """Return the slot of a type, out of which its annotations are taken."""
    if get_origin(kind) is Annotated:
        inner, *own = get_args(kind)
        return slot_of(inner, (*marks, *own))
    return Slot(kind, marks)


def arguments(slot: Slot) -> list[Slot]:
    """Return the branches of a union, the entries' type of a list, a mapping's two types."""
    return [slot_of(kind) for kind in get_args(slot.kind)]


@cache
def fields(model: type[BaseModel]) -> Mapping[str, Slot]:
    """Return the fields of a model by their keys, as they are written."""
    return {
        field.alias or name: slot_of(field.annotation, tuple(field.metadata))
        for name, field in model.model_fields.items()
    }


def branches(slot: Slot) -> Iterator[Slot]:
    """Yield the types that a value can have: those of a union, or the one."""
    if slot.is_union:
        for branch in arguments(slot):
            yield from branches(branch)
    else:
        yield slot


def inside(slot: Slot, part: str | int) -> list[Slot]:
    """Return what may stand at a key or an index of a value that is no union; none or one."""
    if slot.is_model:
        known = fields(slot.kind)
        return [known[part]] if isinstance(part, str) and part in known else []
    return arguments(slot)[:1] if isinstance(part, int) else arguments(slot)[1:2]


def slots_in(slot: Slot, seen: frozenset[Any] = frozenset()) -> Iterator[Slot]:
    """Yield a slot and all that are in it; what is in a model once, should it be in itself."""
    yield slot
    if slot.kind in seen:
        return
    inner = fields(slot.kind).values() if slot.is_model else arguments(slot)
    for one in inner:
        yield from slots_in(one, seen | {slot.kind} if slot.is_model else seen)
