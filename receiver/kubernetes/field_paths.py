"""Paths to fields of an object: ``data["nginx.conf"]``, ``spec.containers[*].image``.

Names with dots between them, and in brackets a text in quotes, a number, or ``*`` for all items.
JSONPath and JMESPath have filters, slices, functions and recursion beside these: what compares a
field with itself has no use for them, and each could be a typo.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import TypeAlias

from receiver.core.model import Json

LONGEST = 500
"""Characters of a path: an annotation's name alone may have 317."""

STEP = re.compile(
    r"""(?P<dot>\.)?(?P<name>[A-Za-z_][A-Za-z0-9_-]*)
    | \[(?:(?P<text>"(?:[ !#-\[\]-~]|\\["\\/])+")|(?P<number>\d{1,6})|(?P<all>\*))\]""",
    re.VERBOSE,
)

ALL = None
"""The step to every item of a list."""

Steps: TypeAlias = tuple[str | int | None, ...]


@lru_cache(maxsize=1_000)
def parse_path(path: str) -> Steps:
    """Return the steps of a path.

    Raises:
        ValueError: it is none; the message says where, and how one is written.
    """
    if len(path) > LONGEST:
        raise ValueError(f"must be a path of at most {LONGEST} characters")
    steps: list[str | int | None] = []
    at = 0
    # A dot stands between names, and nowhere else.
    while (step := STEP.match(path, at)) and not (
        step["name"] and bool(step["dot"]) != bool(steps)
    ):
        steps.append(_step(step))
        at = step.end()
    if at < len(path) or not steps or not isinstance(steps[0], str):
        here = f"at {path[at:][:20]!r}" if steps and at < len(path) else "at its beginning"
        raise ValueError(
            f'is no path {here}; write names with dots, ["a.b"], [0] or [*]: '
            'data["nginx.conf"], spec.template.spec.containers[*].image'
        )
    return tuple(steps)


def _step(step: re.Match[str]) -> str | int | None:
    if step["text"]:
        return str(json.loads(step["text"]))
    return int(step["number"]) if step["number"] else step["name"] or ALL


def value_at(tree: Json, steps: Steps) -> Json:
    """Return what is there, null if nothing is; beyond an ``[*]`` a list of all that is."""
    for place, step in enumerate(steps):
        if step is ALL:
            rest = steps[place + 1 :]
            return [value_at(item, rest) for item in tree] if isinstance(tree, list) else None
        if isinstance(step, str):
            tree = tree.get(step) if isinstance(tree, dict) else None
        else:
            tree = tree[step] if isinstance(tree, list) and step < len(tree) else None
    return tree
