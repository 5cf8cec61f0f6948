"""Turns pydantic's validation errors into messages for whoever wrote the YAML."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from receiver.core.type_tree import branches, fields, inside, slot_of

Path: TypeAlias = tuple[str | int, ...]

KINDS = {
    "string": "a string",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "list": "a list",
    "tuple": "a list",
    "set": "a list",
    "dict": "a mapping",
    "model": "a mapping",
    "mapping": "a mapping",
}
NETWORK = "must be a network like 10.0.0.0/8 or fd00::/8, with no bit set behind its length"
LIMITS = {
    "greater_than_equal": "must be at least {ge:g}",
    "greater_than": "must be more than {gt:g}",
    "less_than_equal": "must be at most {le:g}",
    "less_than": "must be less than {lt:g}",
    "string_too_short": "must not be empty",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "must match {pattern}",
    "too_long": "must have at most {max_length} entries",
    "too_short": "must not be empty",
    "missing": "is missing",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "value_error": "{error}",
    "ip_v4_network": NETWORK,
    "ip_v6_network": NETWORK,
}


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong at a path below the value that was checked.

    ``whole`` says that no further error is reported at this path or below it; ``column`` is that
    of the mistake in the string at the path, 0 if it is of the whole.
    """

    path: Path
    message: str
    hint: str = ""
    whole: bool = False
    column: int = 0

    def __str__(self) -> str:
        text = f"{dotted(self.path)}: {self.message}" if self.path else self.message
        return f"{text} ({self.hint})" if self.hint else text


def dotted(path: Sequence[str | int]) -> str:
    """Write a path as users read it: ``rules[0].match.name``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def first_line(problems: str) -> str:
    """Return the first line of a text, and the number of its other lines."""
    first, *others = problems.splitlines() or [""]
    return f"{first}; and {len(others)} more" if others else first


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a hint with the most similar known word, "" if none is similar."""
    words = {item.lower(): item for item in known}
    found = difflib.get_close_matches(word.lower(), words, 1, 0.65)
    return f"did you mean {words[found[0]]}?" if found else ""


def field_errors(
    error: ValidationError,
    model: type[BaseModel],
    tree: Any,
    *,
    keep: Callable[[str, Any], bool] = lambda _kind, _value: True,
    hide_values: bool = False,
    rendered: bool = False,
) -> list[FieldError]:
    """Return what is wrong with ``tree``, one error for each path.

    Where a value fits no branch of a union, the branches' messages are joined with "or".
    ``keep`` says by pydantic's type of error and the value whether an error counts;
    ``rendered`` says that expressions gave the values, where quotes in the YAML do not help;
    ``hide_values`` leaves out the value where a validator's own message repeats it.
    """
    found: dict[Path, FieldError] = {}
    items = error.errors(include_url=False)
    for item in items:
        if not keep(item["type"], item["input"]) or _lacks_only_invalid_entries(item, items):
            continue
        mistake = FieldError(*_path_and_message(item, model, tree, rendered=rendered))
        if hide_values and str(item["input"]) and str(item["input"]) in mistake.message:
            mistake = FieldError(mistake.path, mistake.message.replace(str(item["input"]), "it"))
        same = found.get(mistake.path)
        if same and mistake.message not in same.message:
            message = f"{same.message} or {mistake.message.removeprefix('must be ')}"
            mistake = FieldError(mistake.path, message, same.hint or mistake.hint)
        found[mistake.path] = mistake
    return list(found.values())


def _lacks_only_invalid_entries(item: ErrorDetails, items: Sequence[ErrorDetails]) -> bool:
    """Whether a list counts as too short only because its entries are invalid."""
    inside = item["loc"]
    return item["type"] == "too_short" and any(
        other["loc"][: len(inside)] == inside and len(other["loc"]) > len(inside) for other in items
    )


def _path_and_message(
    item: ErrorDetails, model: type[BaseModel], tree: Any, *, rendered: bool
) -> tuple[Path, str, str]:
    path = _existing(item["loc"], tree)
    last = item["loc"][-1] if item["loc"] else ""
    if item["type"] == "missing":
        return (*path, last), "is missing", ""
    if item["type"] == "extra_forbidden":
        return path, "unknown key", did_you_mean(str(last), keys_at(model, path[:-1]))
    return path, message_of(item), _hint(item, rendered=rendered)


def _existing(loc: Path, tree: Any) -> Path:
    """Return the part of a location that is in the tree: pydantic adds tags of unions to it."""
    path: Path = ()
    for part in loc:
        inside = range(len(tree)) if isinstance(tree, list) else tree
        if isinstance(inside, Mapping | range) and part in inside:
            tree = tree[part]
            path = (*path, part)
    return path


def message_of(item: ErrorDetails) -> str:
    """Return what is wrong with a value, in our words where we have some."""
    kind = item["type"]
    if kind in LIMITS:
        context = dict(item.get("ctx", {}))
        if "expected" in context:
            context["expected"] = context["expected"].replace("'", "")
        return LIMITS[kind].format_map(context)
    base = kind.split("_")[0]
    if base in KINDS:
        return f"must be {KINDS[base]}"
    return item["msg"][:1].lower() + item["msg"][1:]


def _hint(item: ErrorDetails, *, rendered: bool) -> str:
    value, kind = item["input"], item["type"]
    if value is None:
        return "there is no value"
    if kind in {"string_type", "words"} and isinstance(value, bool | int | float):
        return "write string(...) in the expression" if rendered else "put it in quotes"
    if kind in {"literal_error", "enum"}:
        expected = item.get("ctx", {}).get("expected", "")
        return did_you_mean(str(value), re.findall(r"'([^']+)'", expected))
    return ""


def keys_at(model: Any, path: Sequence[str | int]) -> list[str]:
    """Return the keys that a mapping at ``path`` below ``model`` may have."""
    slots = [slot_of(model)]
    for part in path:
        slots = [inner for slot in slots for one in branches(slot) for inner in inside(one, part)]
    found = (one for slot in slots for one in branches(slot) if one.is_model)
    return [key for one in found for key in fields(one.kind)]
