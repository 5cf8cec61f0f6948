r"""Makes what comes from outside storable: text that both engines take and give back.

PostgreSQL's text knows no NUL, its JSON refuses ``\u0000`` and half a surrogate pair when it is
read, and UTF-8 cannot carry such a half at all. A service may answer with any of them, so each text
is checked on its way into a statement, and each JSON tree when it is written as text.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Engine, event

UNSTORABLE = re.compile("[\0\ud800-\udfff]")
REPLACEMENT = "\ufffd"

ESCAPED = re.compile(r"\\u(?:0000|d[89a-f])")
"""How JSON escapes them. It fits a whole surrogate pair too, which `_clean` leaves as it is."""

DEEPEST = 100
"""Levels of a tree: Python reads and writes JSON by recursion, and its readers have less
of that left."""

TOO_DEEP = f"(nested deeper than {DEEPEST} levels, not stored)"


def storable(text: str) -> str:
    """Return the text with a U+FFFD for each character that cannot be stored."""
    if text.isascii() and "\0" not in text:
        return text
    return UNSTORABLE.sub(REPLACEMENT, text)


_encode = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode
"""Kept: `json.dumps` makes a new one each time that it is not asked for the default form."""


def dumps(tree: Any) -> str:
    """Write a tree as JSON that can be stored and read, whatever a service has put into it.

    A number that JSON has no word for becomes null, what is nested too deep a text that says so.
    """
    try:
        text = _encode(tree)
    except (ValueError, RecursionError):
        text = ""
    may_be_deep = text.count("[") + text.count("{") > DEEPEST  # the cheap test first
    if text and not ESCAPED.search(text) and not (may_be_deep and _deep(tree)):
        return text
    return json.dumps(_clean(tree, DEEPEST), separators=(",", ":"))


def make_parameters_storable(engine: Engine) -> None:
    """Make every text storable that is a parameter of a statement of this engine."""
    event.listen(engine, "before_cursor_execute", _before, retval=True)


def _before(
    _connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool
) -> tuple[str, Any]:
    if many:
        return statement, [_row(row) for row in parameters]
    return statement, _row(parameters)


def _row(row: Mapping[str, Any] | Sequence[Any]) -> Any:
    if isinstance(row, Mapping):
        return {name: _storable_if_text(value) for name, value in row.items()}
    return storable_values(row)


def storable_values(values: Iterable[Any]) -> tuple[Any, ...]:
    """Return the values of a row with every text among them made storable."""
    return tuple([storable(one) if isinstance(one, str) else one for one in values])


def _storable_if_text(value: Any) -> Any:
    return storable(value) if isinstance(value, str) else value


def _clean(tree: Any, levels: int) -> Any:
    if isinstance(tree, str):
        return storable(tree)
    if isinstance(tree, Mapping | list | tuple) and not levels:
        return TOO_DEEP
    if isinstance(tree, Mapping):
        return {_storable_if_text(k): _clean(item, levels - 1) for k, item in tree.items()}
    if isinstance(tree, list | tuple):
        return [_clean(item, levels - 1) for item in tree]
    return None if isinstance(tree, float) and not math.isfinite(tree) else tree


def _deep(tree: Any) -> bool:
    """Whether it has more levels than can be read back; without recursion."""
    level = [tree]
    for _ in range(DEEPEST):
        level = [item for one in level for item in _items(one)]
        if not level:
            return False
    return True


def _items(tree: Any) -> Sequence[Any]:
    if isinstance(tree, Mapping):
        return list(tree.values())
    return tree if isinstance(tree, list | tuple) else ()
