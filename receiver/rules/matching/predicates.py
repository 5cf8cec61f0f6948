"""Predicates over one field of a sync or resource; matching and explaining use the same ones."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from receiver.rules.matching.globs import Globs

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Predicate(Generic[T]):
    """One field of a sync or resource, and the values that are accepted.

    Attributes:
        field: its path below ``match``, or below the selector.
        read: takes the value, which can be hashed, from a sync or resource.
        wanted: what the rule says, as text.
        accept: whether a value is accepted.
        globs: where the value is always a text and ``accept`` is theirs.
    """

    field: str
    read: Callable[[T], Any]
    wanted: str
    accept: Callable[[Any], bool]
    globs: Globs | None = None

    def holds(self, subject: T) -> bool:
        """Whether the value of the sync or resource is accepted."""
        return self.accept(self.read(subject))


class Predicates:
    """Makes predicates; equal ones are the same object."""

    def __init__(self) -> None:
        self._globs: dict[tuple[str, ...], Globs] = {}
        self._made: dict[tuple[str, ...], Predicate[Any]] = {}

    def globs(self, patterns: tuple[str, ...]) -> Globs:
        """Return these patterns compiled, once for all rules that have them."""
        if patterns not in self._globs:
            self._globs[patterns] = Globs(patterns)
        return self._globs[patterns]

    def text(self, field: str, read: Callable[[T], str], patterns: tuple[str, ...]) -> Predicate[T]:
        """Return a predicate over a text that always has a value, be it empty."""
        globs = self.globs(patterns)
        return self.make(field, read, patterns, globs.accept, globs=globs)

    def make(
        self,
        field: str,
        read: Callable[[T], Any],
        words: Collection[str],
        accept: Callable[[Any], bool],
        *,
        mode: str = "",
        globs: Globs | None = None,
    ) -> Predicate[T]:
        """Return a predicate, which field, words and mode identify."""
        key = (field, mode, *words)
        if key not in self._made:
            wanted = " or ".join(word or '""' for word in words)
            self._made[key] = Predicate(field, read, wanted, accept, globs)
        return self._made[key]
