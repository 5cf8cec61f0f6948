"""The values that an expression names, for explanations of its result."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from receiver.core.model import Json

MOST = 6
"""Values in the text for one expression."""
LONGEST = 60
"""Characters of one value."""

TEXT = r""""(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'"""
NAME = re.compile(rf"(?P<text>{TEXT})|\b(?P<root>[a-z]\w*)(?P<rest>(?:\.\w+|\[(?:{TEXT})\])*)")
PART = re.compile(rf"\.(\w+)|\[({TEXT})\]")


def seen(source: str, facts: Mapping[str, Json]) -> str:
    """Write each value of the facts that the expression names: ``sync.dryRun = true``."""
    found = dict(_named(source, facts))
    shown = [f"{name} = {value}" for name, value in list(found.items())[:MOST]]
    return ", ".join(shown) + (", ..." if len(found) > MOST else "")


def one_line(source: str, longest: int = 200) -> str:
    """Write an expression in a line, cut where it is long."""
    text = " ".join(source.split())
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _named(source: str, facts: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    for name in NAME.finditer(source):
        root = name["root"]
        if root in facts and name["rest"]:
            path, value = _follow(root, facts[root], name["rest"])
            if path != root:
                yield path, _short(value)


def _follow(path: str, value: Json, rest: str) -> tuple[str, Json]:
    """Go down the names as far as there are fields: what is called on a value is none."""
    for part in PART.finditer(rest):
        if not isinstance(value, dict):
            break
        key = part[1] or part[2][1:-1]
        path, value = path + part[0], value.get(key)
    return path, value


def _short(value: Json) -> str:
    text = "nothing" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
