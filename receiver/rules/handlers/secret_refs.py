"""References to secrets in parameters: ``{env: NAME}`` and ``{file: NAME}``.

They are read from the rule as it is written and taken out before anything is rendered, so
that no expression can ever make one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from receiver.core.errors import PermanentError
from receiver.core.model import Json
from receiver.core.validation import FieldError, Path

ENV = re.compile(r"POSTSYNC_SECRET_[A-Z0-9_]+")
FILE = re.compile(r"(?!.*\.\.)[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)*")


@dataclass(frozen=True, slots=True)
class SecretRef:
    """Where a secret is; ``format`` has one ``{}`` in which its value is put."""

    kind: Literal["env", "file"]
    name: str
    format: str = "{}"

    def apply(self, value: str) -> str:
        """Return the value in its format."""
        return self.format.replace("{}", value, 1)


def split_secrets(tree: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, SecretRef]]:
    """Return the parameters with null for each reference, and the references by JSON pointer.

    Raises:
        PermanentError: a reference is not usable; `check` finds these before.
    """
    found: dict[str, SecretRef] = {}

    def take(path: Path, value: dict[str, Any]) -> None:
        for mistake in _mistakes(value, path):
            raise PermanentError(str(mistake))
        kind: Literal["env", "file"] = "env" if "env" in value else "file"
        found[pointer(path)] = SecretRef(kind, value[kind], value.get("format", "{}"))

    return replace_secrets(tree, take), found


def check_secrets(tree: Mapping[str, Any]) -> list[FieldError]:
    """Return what is wrong with the references in the parameters."""
    found: list[FieldError] = []
    replace_secrets(tree, lambda path, value: found.extend(_mistakes(value, path)))
    return found


def replace_secrets(
    tree: Any, replacement: Callable[[Path, dict[str, Any]], Any], path: Path = ()
) -> Any:
    """Return the tree with something else for each reference; its root is none."""
    if path and is_secret(tree):
        return replacement(path, tree)
    if isinstance(tree, Mapping):
        return {key: replace_secrets(tree[key], replacement, (*path, key)) for key in tree}
    if isinstance(tree, list):
        return [replace_secrets(item, replacement, (*path, i)) for i, item in enumerate(tree)]
    return tree


def put_values(tree: Json, values: Mapping[str, Any]) -> Json:
    """Return the tree with the value of each JSON pointer in its place."""
    if "" in values:
        return values[""]  # type: ignore[no-any-return] # whatever the caller put there
    for place, value in values.items():
        path = [part.replace("~1", "/").replace("~0", "~") for part in place.split("/")[1:]]
        tree = _put(tree, path, value)
    return tree


def with_references(parameters: Json, stored: Mapping[str, Mapping[str, str]]) -> Json:
    """Return parameters for people: each reference in its place again, as the rule has it.

    Args:
        parameters: with null for each reference.
        stored: the fields of `SecretRef` by JSON pointer.
    """
    written = {place: _written(SecretRef(**ref)) for place, ref in stored.items()}  # type: ignore[arg-type]  # as it was stored
    return parameters if parameters is None else put_values(parameters, written)


def _written(ref: SecretRef) -> dict[str, str]:
    own = {} if ref.format == "{}" else {"format": ref.format}
    return {ref.kind: ref.name, **own}


def is_secret(value: Any) -> bool:
    """Whether a mapping has the shape of a reference: env or file, perhaps format, no more."""
    return (
        isinstance(value, dict)
        and bool(value.keys() & {"env", "file"})
        and value.keys() <= {"env", "file", "format"}
    )


def pointer(path: Path) -> str:
    """Write a path as a JSON pointer (RFC 6901)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def _mistakes(value: dict[str, Any], path: Path) -> Iterator[FieldError]:
    if {"env", "file"} <= value.keys():
        yield FieldError(path, "a secret is in env or in a file, not in both")
    elif "env" in value and not _fits(ENV, value["env"]):
        yield FieldError(
            (*path, "env"),
            "only variables POSTSYNC_SECRET_* can be named as secrets",
            "if no secret is meant, write ${{ {'env': '...'} }}",  # what stands here may be one
        )
    elif "file" in value and not _fits(FILE, value["file"]):
        yield FieldError(
            (*path, "file"), "must be a name below the secrets folder, without .. and no / first"
        )
    form = value.get("format", "{}")
    if not isinstance(form, str) or form.count("{}") != 1:
        yield FieldError((*path, "format"), "must have {} exactly once", "for example 'Bearer {}'")


def _fits(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and bool(pattern.fullmatch(value))


def _put(tree: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    first, *rest = path
    if isinstance(tree, list):
        index = int(first)
        return [*tree[:index], _put(tree[index], rest, value), *tree[index + 1 :]]
    return tree | {first: _put(tree[first], rest, value)}
