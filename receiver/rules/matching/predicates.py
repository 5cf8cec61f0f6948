"""Predicates over one field of a sync or resource, and globs; explaining uses the same ones."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from fnmatch import translate
from typing import Any, Generic, TypeVar
from weakref import WeakValueDictionary

from receiver.core import interruption

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Predicate(Generic[T]):
    """One field of a sync or resource, and the values that are accepted.

    Attributes:
        field: its path below ``match``, or below the selector.
        read: takes the value, which can be hashed, from a sync or resource.
        wanted: what the rule says, as text.
        accept: whether a value is accepted.
        globs: where the value is always a text and ``accept`` takes nothing that they do not.
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
    """Makes predicates; equal ones are the same object, as long as a rule has it."""

    def __init__(self) -> None:
        self._globs = WeakValueDictionary[tuple[str, ...], Globs]()
        self._made = WeakValueDictionary[tuple[str, ...], Predicate[Any]]()

    def globs(self, patterns: tuple[str, ...]) -> Globs:
        """Return these patterns compiled, once for all rules that have them."""
        found = self._globs.get(patterns)
        if found is None:
            found = self._globs[patterns] = Globs(patterns)
        return found

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
        found = self._made.get(key)
        if found is None:
            wanted = " or ".join(word or '""' for word in words)
            found = self._made[key] = Predicate(field, read, wanted, accept, globs)
        return found


AT_ONCE = 50
"""Patterns between two checkpoints: thousands take 0.01 s with a short text, seconds with one of
Kubernetes' longest (an annotation of 256 KiB), and nothing interrupts a regular expression."""

SPECIAL = re.compile(r"[*?\[]")


class Globs:
    """Patterns of which any may match.

    Attributes:
        literals: the patterns without a wildcard, which are compared as they are.
        prefixes: for each of the others, what a text that it matches begins with.
    """

    __slots__ = ("__weakref__", "_regexes", "_starts", "literals", "prefixes")

    def __init__(self, patterns: Sequence[str]) -> None:
        wild = [pattern for pattern in patterns if SPECIAL.search(pattern)]
        self.literals = frozenset(patterns) - frozenset(wild)
        self.prefixes = tuple(SPECIAL.split(pattern, maxsplit=1)[0] for pattern in wild)
        pairs = list(zip(wild, self.prefixes, strict=True))
        self._starts = tuple(prefix for pattern, prefix in pairs if pattern == f"{prefix}*")
        others = [pattern for pattern, prefix in pairs if pattern != f"{prefix}*"]
        parts = range(0, len(others), AT_ONCE)
        self._regexes = tuple(_compile(others[at : at + AT_ONCE]) for at in parts)

    def accept(self, text: str) -> bool:
        """Whether one of the patterns matches the whole text."""
        return (
            text in self.literals
            or text.startswith(self._starts)
            or (bool(self._regexes) and self._is_wild(text))
        )

    def _is_wild(self, text: str) -> bool:
        for regex in self._regexes:
            if regex is not self._regexes[0]:
                interruption.checkpoint()
            if regex.match(text) is not None:
                return True
        return False


def _compile(patterns: list[str]) -> re.Pattern[str]:
    with warnings.catch_warnings():
        # re warns that `[[` in a set may mean something else one day.
        warnings.simplefilter("ignore", FutureWarning)
        return re.compile("|".join(map(translate, patterns)))
