"""Reads YAML and keeps the line and column of every key and value.

PyYAML composes the nodes (its C scanner: ruamel takes six times as long); the values are
built here, because its own constructor drops positions, takes the last of two equal keys
and follows YAML 1.1 into sexagesimal numbers and dates.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import yaml

from receiver.core.errors import Problem
from receiver.core.validation import Path, dotted

Position: TypeAlias = tuple[int, int]
"""Line and column, from 1."""

MOST_NODES = 200_000
"""Keys and values of one file: ten thousand small rules, and 150 MB while they are read. Aliases
that multiply themselves end here as well."""
DEEPEST = 100
"""Levels; no manifest has a third of them. The parser and what comes after it go down level by
level, on a stack that has an end."""
LONGEST_NUMBER = 100
"""Digits; what has more is meant as a text, and Python reads no more than 4,300."""
TAG = "tag:yaml.org,2002:"
INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
WORDS = {"yes", "no", "on", "off"}
"""As keys: booleans in YAML 1.1, texts in 1.2 and to nearly everybody."""
BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


@dataclass
class Document:
    """The data of a file, the positions of its parts, and its problems.

    ``texts`` has the position of a one-line string's first character; ``unread`` are the paths of
    values that already have a problem, for which no further one is reported.
    """

    file: str
    data: Any = None
    keys: dict[Path, Position] = field(default_factory=dict)
    values: dict[Path, Position] = field(default_factory=dict)
    texts: dict[Path, Position] = field(default_factory=dict)
    unread: set[Path] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)

    def problem(self, path: Path, message: str, hint: str = "", column: int = 0) -> Problem:
        """Return a problem at a path; for what is not there, at the position of its parent.

        ``column`` (from 1) is a place within the string at the path.
        """
        if column and path in self.texts:
            line, start = self.texts[path]
            return Problem(self.file, line, start + column - 1, dotted(path), message, hint)
        place = path
        while place not in self.values and place:
            place = place[:-1]
        value = self.values.get(place, (1, 1))
        at = value if column else self.keys.get(place, value)
        return Problem(self.file, *at, dotted(path), message, hint)


def read_yaml(file: str, text: str) -> Document:
    """Parse one file's text; what cannot be parsed is among its problems."""
    document = Document(file)
    try:
        node = yaml.compose(text, _Loader)
        if node is not None:
            document.data = _Builder(document).build(node, ())
    except yaml.YAMLError as error:
        document.problems.append(_syntax(file, text, error))
    return document


def read_all(file: str, text: str) -> list[Document]:
    """Parse all documents of one file's text; where one cannot be parsed, it is the last."""
    documents: list[Document] = []
    try:
        for node in yaml.compose_all(text, _Loader):
            documents.append(Document(file))
            documents[-1].data = _Builder(documents[-1]).build(node, ())
    except yaml.YAMLError as error:
        documents.append(Document(file, problems=[_syntax(file, text, error)]))
    return documents


class _Excess(yaml.MarkedYAMLError):
    """A document beyond the bounds."""


class _Loader(yaml.CSafeLoader):
    """Composes the nodes, within the bounds.

    The composer calls itself for each level, in C, where no error but SIGSEGV comes of it; before
    and after each node it calls what is below.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._nodes = 0

    def descend_resolver(self, parent: yaml.Node | None, _index: Any) -> None:
        self._depth += 1
        self._nodes += 1
        check_bounds(self._depth, self._nodes, parent)

    def ascend_resolver(self) -> None:
        self._depth -= 1


def check_bounds(depth: int, nodes: int, node: yaml.Node | None) -> None:
    """Raise `yaml.YAMLError` at the node if a document is beyond the bounds."""
    problem = ""
    if depth > DEEPEST:
        problem = f"nested more than {DEEPEST} levels deep"
    elif nodes > MOST_NODES:
        problem = f"more than {MOST_NODES} keys and values, aliases counted each time"
    if problem:
        raise _Excess(problem=problem, problem_mark=node.start_mark if node else None)


def _syntax(file: str, text: str, error: yaml.YAMLError) -> Problem:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        mark = error.problem_mark
        if isinstance(error, _Excess):
            return Problem(file, mark.line + 1, mark.column + 1, "", str(error.problem))
        hint = _syntax_hint(text, mark.line, mark.column, error)
        problem = error.problem or ""
        if problem.startswith("but "):
            problem = f"{error.context}, {problem}"
        message = f"not valid YAML: {problem}"
        return Problem(file, mark.line + 1, mark.column + 1, "", message, hint)
    first = str(error).split("\n", 1)[0]
    return Problem(file, 0, 0, "", f"not valid YAML: {first}")


def _syntax_hint(text: str, row: int, column: int, error: yaml.MarkedYAMLError) -> str:
    """Return the way out of what people write as a text and YAML reads as something else."""
    line = next(iter(text.split("\n")[row : row + 1]), "")
    if line[column : column + 1] == "\t":
        return "indent with spaces, YAML takes no tabs"
    if "alias" in f"{error.context} {error.problem}":
        return "put a text that begins with * in quotes"
    if line[max(column - 1, 0) : column + 2] == "${{":
        return "put ${{ }} in quotes between { } or [ ]"
    return ""


class _Builder:
    def __init__(self, document: Document) -> None:
        self._document = document
        self._nodes = 0
        self._open: set[int] = set()

    def build(self, node: yaml.Node, path: Path) -> Any:
        self._nodes += 1
        check_bounds(len(path) + 1, self._nodes, node)
        self._document.values[path] = _place(node)
        if id(node) in self._open:
            return self._leave_unread(path, node, "this alias contains itself")
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.SequenceNode):
                return [self.build(item, (*path, i)) for i, item in enumerate(node.value)]
            return self._mapping(node, path)
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: yaml.Node, path: Path) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node)
            if key is None:
                continue
            if key in result:
                line, _ = self._document.keys[(*path, key)]
                self._add_problem(key_node, f"the key {key} is here twice", f"first in line {line}")
                continue
            self._document.keys[(*path, key)] = _place(key_node)
            result[key] = self.build(value_node, (*path, key))
        if path and node.value and not result:  # each of its keys has a problem
            self._document.unread.add(path)
        return result

    def _key(self, node: yaml.Node) -> str | None:
        if not isinstance(node, yaml.ScalarNode):
            self._add_problem(node, "a key must be a string")
            return None
        if node.tag == TAG + "merge":
            self._add_problem(node, "merge keys (<<) are not read", "use defaults, or an alias")
            return None
        if node.tag == TAG + "str" or node.value.lower() in WORDS:
            return str(node.value)
        what = {"bool": "a boolean", "int": "a number", "float": "a number", "null": "null"}
        kind = what.get(node.tag.removeprefix(TAG), "no string")
        self._add_problem(node, f"YAML reads the key {node.value} as {kind}", "put it in quotes")
        return None

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> Any:
        text = str(node.value)
        kind = node.tag.removeprefix(TAG)
        if kind not in SCALARS:
            if node.tag.startswith(TAG):
                return self._leave_unread(path, node, f"the tag {node.tag} is not read")
            # Not quoted: it may be a password that begins with an exclamation mark.
            hint = "put a text that begins with ! in quotes"
            return self._leave_unread(path, node, "this tag is not read", hint)
        try:
            value = SCALARS[kind](text)
        except ValueError as error:
            hint = "put it in quotes if it is meant as a text"
            return self._leave_unread(path, node, str(error), hint)
        if isinstance(value, str):
            self._note_text(node, path, text)
        return value

    def _note_text(self, node: yaml.ScalarNode, path: Path, text: str) -> None:
        start, end = node.start_mark, node.end_mark
        quotes = 2 if node.style in {"'", '"'} else 0
        if start.line == end.line and end.column - start.column == len(text) + quotes:
            # No escapes: a column in the text is a column in the file.
            self._document.texts[path] = (start.line + 1, start.column + 1 + quotes // 2)

    def _leave_unread(self, path: Path, node: yaml.Node, message: str, hint: str = "") -> Any:
        """Report why a value is not read; return None, which stands in its place."""
        self._document.unread.add(path)
        self._add_problem(node, message, hint)
        return None

    def _add_problem(self, node: yaml.Node, message: str, hint: str = "") -> None:
        self._document.problems.append(
            Problem(self._document.file, *_place(node), "", message, hint)
        )


def _place(node: yaml.Node) -> Position:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _integer(text: str) -> int | str:
    # 0644 and 12:30 are numbers in YAML 1.1 and texts in 1.2 and to nearly everybody.
    if not INTEGER.fullmatch(text):
        return text
    if len(text) > LONGEST_NUMBER:
        raise ValueError(f"a number of {len(text)} digits is not read")
    return int(text)


def _boolean(text: str) -> bool:
    if text.lower() not in BOOLEANS:
        raise ValueError("this is tagged as a boolean, and is none")
    return BOOLEANS[text.lower()]


def _float(text: str) -> float | str:
    try:
        number = float(text)
    except ValueError:
        return text
    if not math.isfinite(number):
        raise ValueError("this number is too large")
    return number


SCALARS: dict[str, Callable[[str], Any]] = {
    "str": str,
    "timestamp": str,
    "null": lambda _: None,
    "bool": _boolean,
    "int": _integer,
    "float": _float,
}
