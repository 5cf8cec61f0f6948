"""Holds the rule set in force, and replaces it only by one without problems."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from receiver.rules.expressions import Expressions
from receiver.rules.handlers.registry import Registry
from receiver.rules.loading.files import rule_files
from receiver.rules.loading.load import RuleSet, load_rules

Fingerprint: TypeAlias = tuple[tuple[str, int, int, int], ...]


class Rulebook:
    """The rules of some files and folders. It has no thread: its owner polls it.

    Attributes:
        current: the set in force; None until one was loaded or given.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        registry: Registry,
        expressions: Expressions,
        current: RuleSet | None = None,
    ) -> None:
        self._paths = tuple(paths)
        self._registry = registry
        self._expressions = expressions
        self._seen: Fingerprint | None = None
        self.current = current

    def changed(self) -> bool:
        """Whether a file came, went or was written since the last `reload`, good or bad.

        Files are compared by the targets of their links: a ConfigMap is updated by switching
        one link, which no file's own entry shows.
        """
        return self._fingerprint() != self._seen

    def reload(self) -> RuleSet:
        """Load the files and put their rules in force.

        Raises:
            RuleError: the files have problems; ``current`` stays in force.
        """
        # Taken before the files are read: a write in between is seen as a change next time.
        self._seen = self._fingerprint()
        self.current = load_rules(self._paths, self._registry, self._expressions)
        return self.current

    def _fingerprint(self) -> Fingerprint:
        return tuple(self._stats())

    def _stats(self) -> Iterator[tuple[str, int, int, int]]:
        try:
            for file in rule_files(self._paths):
                stat = file.stat()
                yield str(file), stat.st_mtime_ns, stat.st_size, stat.st_ino
        except (OSError, ValueError) as error:
            yield str(error), 0, 0, 0  # a file that is missing, went just now, or is no path
