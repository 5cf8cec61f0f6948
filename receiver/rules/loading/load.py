"""Loads rule files into one set: whole, or not at all with every problem named."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from receiver.core.errors import BeyondBounds, Problem, RuleError
from receiver.core.garbage import no_collections
from receiver.core.validation import Path as FieldPath
from receiver.rules.expressions.cel import Expressions
from receiver.rules.handlers.registry import Registry
from receiver.rules.loading.files import read_text, rule_files
from receiver.rules.loading.parser import Reading
from receiver.rules.loading.warnings import find_unconnected, find_warnings, missing_files
from receiver.rules.schema.rule_file import Rule
from receiver.rules.tenants.bounds import Tenants
from receiver.rules.tenants.document import CronJobDocument, documents, misplaced


@dataclass(frozen=True, slots=True)
class RuleSet:
    """Rules with their defaults merged, and the files that they came from (name, text).

    ``warnings`` are valid, and most likely not what was meant; a stored set has none. ``places``
    are file and line of each rule, in the same order.
    """

    digest: str
    files: tuple[tuple[str, str], ...]
    rules: tuple[Rule, ...]
    warnings: tuple[Problem, ...] = ()
    places: tuple[tuple[str, int], ...] = ()


ELSEWHERE = (
    "`rules` in the settings or POSTSYNC_RULES names others; `postsync init FOLDER` makes some to "
    "begin with"
)


def load_rules(
    paths: Iterable[Path], registry: Registry, expressions: Expressions, *,
    connected: bool = True, in_force: bool = False, tenants: Tenants | None = None,
) -> RuleSet:  # fmt: skip
    """Read, check and merge all rules of these files and folders.

    Where no sender is ``connected``, what a rule asks of a connection is a warning. Files that are
    to be ``in_force`` are rule files: PostSyncRules come into force in their cluster alone. They
    are checked against the bounds of ``tenants``, where these are known.

    Raises:
        RuleError: with every problem of every file.
    """
    paths = tuple(paths)
    files, problems = _read_texts(paths)
    warnings = missing_files(paths, (file for file, _ in files))
    if in_force:
        problems = [replace(one, hint=ELSEWHERE) if not Path(one.file).exists() else one
                    for one in problems]  # fmt: skip
        problems += [found for file, text in files for found in misplaced(file, text)]
    return load_texts(
        files, registry, expressions, connected=connected, problems=problems, warnings=warnings,
        tenants=tenants,
    )  # fmt: skip


@no_collections()
def load_texts(
    files: tuple[tuple[str, str], ...], registry: Registry, expressions: Expressions, *,
    connected: bool = True, problems: Iterable[Problem] = (), warnings: Iterable[Problem] = (),
    tenants: Tenants | None = None,
) -> RuleSet:  # fmt: skip
    """Check and merge all rules of these files (name, text), as `load_rules`.

    ``problems`` and ``warnings`` are those that are known already.

    Raises:
        RuleError: with every problem of every file; `BeyondBounds` if all of them are of bounds.
    """
    problems, warnings, beyond = list(problems), list(warnings), list[Problem]()
    rules: list[Rule] = []
    places: list[tuple[str, int]] = []
    names: dict[str, str] = {}
    bug: Exception | None = None
    for file, text in files:
        try:
            found = [*_readings(file, text)]
            for reading in found:
                reading.check(registry, expressions)
                reading.check_names(names)
                beyond += reading.beyond(tenants, registry) if tenants is not None else ()
                warnings += _doubts(reading, connected=connected)
        except Exception as error:  # noqa: BLE001 whatever a file causes, it is refused
            bug = error
            message = f"could not be checked: {type(error).__name__}, which is a bug of Postsync"
            hint = "please report it, with the file"
            problems.append(Problem(file, 0, 0, "", message, hint))
            continue
        for reading in found:
            rules += reading.rules.values()
            places += reading.places()
            problems += reading.document.problems
    if problems or beyond:
        raise (RuleError if problems else BeyondBounds)([*problems, *beyond]) from bug
    return RuleSet(_digest(files), files, tuple(rules), tuple(warnings), tuple(places))


def _doubts(reading: Reading, *, connected: bool) -> Iterator[Problem]:
    yield from find_warnings(reading.document, reading.rules.items())
    if isinstance(reading.document, CronJobDocument):
        yield from reading.document.doubts()
    if not connected:
        yield from find_unconnected(reading.document, reading.rules.items())


@no_collections()
def rule_set_from(files: Iterable[tuple[str, str]]) -> RuleSet:
    """Rebuild a stored set that was valid when it was stored.

    ``with`` is not checked against today's handlers, nor is any expression compiled: what
    does not fit any more fails its own run, and no other.

    Raises:
        RuleError: the format itself has changed, so that a file cannot be read.
    """
    kept = tuple(files)
    read = [reading for file, text in kept for reading in _readings(file, text)]
    problems = [problem for reading in read for problem in reading.document.problems]
    if problems:
        raise RuleError(problems)
    rules = tuple(rule for reading in read for rule in reading.rules.values())
    places = tuple(place for reading in read for place in reading.places())
    return RuleSet(_digest(kept), kept, rules, places=places)


def readings(found: RuleSet) -> Iterator[Reading]:
    """Parse the files of a set again, for the places of its parts."""
    for file, text in found.files:
        yield from _readings(file, text)


def _readings(file: str, text: str) -> Iterator[Reading]:
    """Parse a rule file, or each PostSyncRule of a file."""
    return map(Reading, documents(file, text))


def _read_texts(paths: Iterable[Path]) -> tuple[tuple[tuple[str, str], ...], list[Problem]]:
    try:
        texts = {str(file): read_text(file) for file in rule_files(paths)}
    except OSError as error:
        folder = str(error.filename)
        return (), [Problem(folder, 0, 0, "", f"cannot be read: {error.strerror}")]
    problems = [text for text in texts.values() if isinstance(text, Problem)]
    return tuple((file, text) for file, text in texts.items() if isinstance(text, str)), problems


def _digest(files: tuple[tuple[str, str], ...]) -> str:
    digest = hashlib.sha256()
    for part in (part for pair in files for part in pair):
        body = part.encode()
        digest.update(len(body).to_bytes(8, "big") + body)
    return digest.hexdigest()


def place_in_files(found: RuleSet, rule: str, path: FieldPath) -> str:
    """Return ``FILE:LINE:COLUMN`` of a path below a rule, "" if there is no such rule.

    The files are read again for it, which takes as long as to load them.
    """
    for reading in readings(found):
        for index, one in reading.rules.items():
            if one.name == rule:
                there = reading.document.problem(("rules", index, *path), "")
                return f"{there.file}:{there.line}:{there.column}"
    return ""


class Rulebook:
    """The rules of some files and folders. It has no thread: its owner polls it.

    ``connected`` says whether any sender has a connection to Argo CD, see `load_rules`.
    """

    def __init__(
        self, paths: Sequence[Path], registry: Registry, expressions: Expressions, *,
        connected: bool = True,
    ) -> None:  # fmt: skip
        self._paths = tuple(paths)
        self._registry = registry
        self._expressions = expressions
        self._connected = connected
        self._seen: list[tuple[str, int, int, int]] | None = None

    def changed(self) -> bool:
        """Whether a file came, went or was written since the last `reload`, good or bad.

        Files are compared by the targets of their links: a ConfigMap is updated by switching
        one link, which no file's own entry shows.
        """
        return self._fingerprint() != self._seen

    def reload(self) -> RuleSet:
        """Load the files, whole or not at all; see `load_rules`."""
        # Taken before the files are read: a write in between is seen as a change next time.
        self._seen = self._fingerprint()
        return load_rules(
            self._paths, self._registry, self._expressions,
            connected=self._connected, in_force=True,
        )  # fmt: skip

    def _fingerprint(self) -> list[tuple[str, int, int, int]]:
        found = []
        try:
            for file in rule_files(self._paths):
                stat = file.stat()
                found.append((str(file), stat.st_mtime_ns, stat.st_size, stat.st_ino))
        except (OSError, ValueError) as error:  # it is missing, went just now, or is no path
            found.append((str(error), 0, 0, 0))
        return found
