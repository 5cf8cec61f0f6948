"""Turns the CEL library's error messages into plain ones."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

ISSUE = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): (.*)")
"""Line, column and message; -1 where the library gives no place."""
STATUS = re.compile(r"^(?:[A-Z_]+: )?(.*?)(?: \[[A-Z_]+\])?$", re.DOTALL)
UNDECLARED = re.compile(r"undeclared reference to '([^']*)'")
OPERATOR = re.compile(r"^@|_")
"""What surrounds an operator in the library's names for functions: ``_==_``, ``@in``."""
OVERLOAD = re.compile(r"[Nn]o matching overloads? ?(?:found )?(?:for|:) '?([^\s'(]+)'?(.*)")
WORDINGS = (
    (r"Syntax error: \w+ input '<EOF>' expecting .*", "syntax error: unexpected end"),
    (r"Syntax error: \w+ input '(.*?)' expecting .*", r"syntax error: unexpected '\1'"),
    (r"Syntax error: token recognition error at: '(.*)'", r"syntax error: cannot read \1"),
    (r"expression of type '(.*?)' cannot be the operand .*", r"a value of type \1 has no fields"),
    (r"expression of type '(.*?)' cannot be the range .*", r"a value of type \1 is no list or map"),
    (r"Key not found in map : (.*)", r"there is no key \1"),
    (r'No value with name "(.*?)" found in Activation', r"\1 is not available here"),
    (r"basic_string: .*", "a text in the values is not valid Unicode"),
    (
        r"(?:Exceeded max recursion depth of|Expression recursion limit exceeded. limit:) (\d+).*",
        r"more than \1 operations stand in one another",
    ),
    (r"Applying SELECT to non-message type", "a field is asked of null, or of a value without any"),
    (r".*Iteration budget exceeded.*", "the expression takes too many steps"),
)


@dataclass(frozen=True, slots=True)
class Issue:
    """One complaint of the compiler.

    ``column`` counts from 1 over the whole source, 0 is unknown.
    """

    message: str
    column: int
    name: str = ""


def compile_issues(text: str, source: str) -> Iterator[Issue]:
    """Yield the issues in the text of a compile error, in their order."""
    lines = source.split("\n")
    for row, column, message in ISSUE.findall(text):
        start = sum(len(line) + 1 for line in lines[: max(int(row) - 1, 0)])
        name = UNDECLARED.match(message)
        yield Issue(plain_message(message), max(start + int(column), 0), name[1] if name else "")


def plain_message(text: str) -> str:
    """Return the library's message without its codes and its own names for operators."""
    found = STATUS.match(text)
    message = found[1].strip() if found else text
    if found := OVERLOAD.search(message):
        return _overload(found[1], found[2])
    for pattern, wording in WORDINGS:
        if found := re.fullmatch(pattern, message):
            return found.expand(wording)
    return message


def _overload(function: str, rest: str) -> str:
    types = rest.replace("applied to", "").strip(" '")
    return f"{OPERATOR.sub('', function) or function} cannot be applied to {types}"
