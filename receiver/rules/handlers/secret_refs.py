"""References to secrets in parameters: ``{env: NAME}`` and ``{file: NAME}``.

A tenant's rule has neither, but ``{secret: {name: NAME, key: KEY}}``: a Secret of its namespace.
They are read from the rule as it is written and taken out before anything is rendered, so
that no expression can ever make one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from receiver.core.errors import PermanentError
from receiver.core.model import Json
from receiver.core.validation import FieldError, Path

ENV = re.compile(r"POSTSYNC_SECRET_[A-Z0-9_]+")
FILE = re.compile(r"(?!.*\.\.)[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)*")
SECRET = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
"""The name of a Secret, a DNS subdomain."""
KEY = re.compile(r"(?!\.\.?$)[A-Za-z0-9._-]{1,253}")
"""A key in it (k8s.io/apimachinery, validation.IsConfigMapKey)."""

Kind: TypeAlias = Literal["env", "file", "secret"]


@dataclass(frozen=True, slots=True)
class SecretRef:
    """Where a secret is; ``format`` has one ``{}`` in which its value is put.

    ``key`` is that in a Secret of a tenant's namespace, "" for the operator's.
    """

    kind: Kind
    name: str
    format: str = "{}"
    key: str = ""

    def __str__(self) -> str:
        name = f"{{name: {self.name}, key: {self.key}}}" if self.kind == "secret" else self.name
        return f"{{{self.kind}: {name}}}"

    @property
    def stored(self) -> dict[str, str]:
        """Its fields, as a run keeps them."""
        fields = {"kind": self.kind, "name": self.name, "format": self.format}
        return fields | ({"key": self.key} if self.key else {})

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
        kind: Kind = next(kind for kind in KINDS if kind in value)
        named = value[kind] if kind == "secret" else {"name": value[kind]}
        found[pointer(path)] = SecretRef(kind, format=value.get("format", "{}"), **named)

    return replace_secrets(tree, take), found


def check_secrets(tree: Mapping[str, Any], *, tenant: bool = False) -> list[FieldError]:
    """Return what is wrong with the references in the parameters of a rule, or a tenant's rule."""
    found: list[FieldError] = []

    def check(path: Path, value: dict[str, Any]) -> None:
        mistakes = [*_mistakes(value, path)]
        found.extend(mistakes or _not_for(value, path, tenant=tenant))

    replace_secrets(tree, check)
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


def _written(ref: SecretRef) -> dict[str, Any]:
    own = {} if ref.format == "{}" else {"format": ref.format}
    name = {"name": ref.name, "key": ref.key} if ref.kind == "secret" else ref.name
    return {ref.kind: name, **own}


KINDS: tuple[Kind, ...] = ("env", "file", "secret")


def is_secret(value: Any) -> bool:
    """Whether a mapping has the shape of a reference: one of `KINDS`, perhaps format, no more.

    What stands under ``secret`` has a name and a key. A name alone, or a secretName, is what a
    manifest has there.
    """
    if not isinstance(value, dict) or not value.keys() <= {*KINDS, "format"}:
        return False
    named = value.get("secret")
    of_namespace = isinstance(named, dict) and named.keys() == {"name", "key"}
    return of_namespace if "secret" in value else bool(value.keys() & {"env", "file"})


def pointer(path: Path) -> str:
    """Write a path as a JSON pointer (RFC 6901)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def _not_for(value: dict[str, Any], path: Path, *, tenant: bool) -> Iterator[FieldError]:
    """Refuse the operator's secrets in a tenant's rule, and the other way round."""
    if tenant and "secret" not in value:
        (kind,) = value.keys() - {"format"}
        yield FieldError(
            (*path, kind),
            "is a secret of the operator's, and none for a rule in a namespace",
            "name a Secret of the rule's namespace: {secret: {name: NAME, key: KEY}}",
        )
    if not tenant and "secret" in value:
        yield FieldError(
            (*path, "secret"),
            "a Secret of a namespace is for a rule in that namespace, a PostSyncRule",
            "name {env: POSTSYNC_SECRET_NAME} or {file: NAME}",
        )


def _mistakes(value: dict[str, Any], path: Path) -> Iterator[FieldError]:
    if len(value.keys() & {*KINDS}) > 1:
        yield FieldError(path, f"a secret is in one place, not in {' and '.join(_places(value))}")
    elif "secret" in value:
        yield from _mistakes_of_namespace(value["secret"], (*path, "secret"))
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


def _places(value: dict[str, Any]) -> list[str]:
    return [kind for kind in KINDS if kind in value]


def _mistakes_of_namespace(named: dict[str, Any], path: Path) -> Iterator[FieldError]:
    if not _fits(SECRET, named["name"]) or len(named["name"]) > LONGEST_NAME:
        yield FieldError((*path, "name"), "must be the name of a Secret", OWN_NAMESPACE)
    if not _fits(KEY, named["key"]):
        yield FieldError((*path, "key"), "must be a key of the Secret: letters, digits, - _ and .")


LONGEST_NAME = 253
OWN_NAMESPACE = "it is one of the rule's own namespace, so no namespace stands before it"


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
