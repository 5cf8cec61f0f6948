"""Walks an action's parameters along with the types of their model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import NoneType
from typing import Any

from receiver.contract.annotations import SecretMark, Sent
from receiver.core.type_tree import Slot, arguments, inside
from receiver.core.validation import Path


def places(slot: Slot, value: Any, path: Path = ()) -> Iterator[tuple[Slot, Any, Path]]:
    """Yield each value of a tree with a type that it may be meant for, and its path.

    A union comes before its branches. What is in a secret, or in a tree that is sent as it is, is
    left out, and so is what the model does not know.
    """
    yield slot, value, path
    if slot.has(SecretMark) or slot.has(Sent):
        return
    if slot.is_union:
        for branch in _meant(arguments(slot), value):
            yield from places(branch, value, path)
        return
    for part, item in _items(value):
        for inner in inside(slot, part):
            yield from places(inner, item, (*path, part))


def _items(value: Any) -> Iterable[tuple[str | int, Any]]:
    if isinstance(value, Mapping):
        return value.items()
    return enumerate(value) if isinstance(value, list) else ()


def _meant(branches: list[Slot], value: Any) -> list[Slot]:
    """Return the branches of a union that a value can be meant for.

    A text, or a reference, is meant for the secret; anything else is so only if there is no
    other branch.
    """
    real = [branch for branch in branches if branch.kind is not NoneType]
    if value is None and len(real) < len(branches):
        return []
    secret = [branch for branch in real if branch.has(SecretMark)]
    others = [branch for branch in real if not branch.has(SecretMark)]
    return secret if secret and (isinstance(value, str) or not others) else others
