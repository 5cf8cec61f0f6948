"""Globs as in a shell, over names: case counts, and ``*`` takes a slash like any letter."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from fnmatch import translate

SPECIAL = re.compile(r"[*?\[]")


class Globs:
    """Patterns of which any may match.

    Attributes:
        literals: the patterns without a wildcard, which are compared as they are.
        prefixes: for each of the others, what a text that it matches begins with.
    """

    __slots__ = ("_regex", "literals", "prefixes")

    def __init__(self, patterns: Sequence[str]) -> None:
        wild = [pattern for pattern in patterns if SPECIAL.search(pattern)]
        self.literals = frozenset(patterns) - frozenset(wild)
        self.prefixes = tuple(SPECIAL.split(pattern, maxsplit=1)[0] for pattern in wild)
        self._regex = _compile(wild) if wild else None

    def accept(self, text: str) -> bool:
        """Whether one of the patterns matches the whole text."""
        return text in self.literals or (
            self._regex is not None and self._regex.match(text) is not None
        )


def _compile(patterns: list[str]) -> re.Pattern[str]:
    with warnings.catch_warnings():
        # re warns that `[[` in a set may mean something else one day.
        warnings.simplefilter("ignore", FutureWarning)
        return re.compile("|".join(map(translate, patterns)))
