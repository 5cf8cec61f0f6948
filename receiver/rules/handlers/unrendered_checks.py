"""What the parameters of an action must be as they are written, before anything is rendered.

It is asked of rules that are read from files. One that a ledger already has is not judged by it,
so that what is under way goes on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from receiver.contract.annotations import Filled, HeadersMark, SecretMark, Sent
from receiver.core.validation import FieldError, Path
from receiver.outbound.credential_names import HEADERS, names_a_credential
from receiver.rules.expressions import is_template
from receiver.rules.handlers.secret_refs import is_secret

WAY_OUT = "write {env: POSTSYNC_SECRET_NAME} or {file: NAME}"
AROUND = f'{WAY_OUT}, with format: "Bearer {{}}" for text around it'
IN_TREE = f"{AROUND}; what is no secret can be written as an expression: ${{{{ '...' }}}}"
IN_ADDRESS = (
    'write {env: POSTSYNC_SECRET_NAME, format: "https://user:{}@host/"}, or with file: NAME'
)
WRITE_OUT = "write it out, with {env: POSTSYNC_SECRET_NAME} or {file: NAME} for the secret"
PASSWORD = re.compile(r"https?://[^/?#@\s]*:[^/?#@\s$]+@")
"""An address with a password in it. A dollar is none: an expression, or `$(NAME)` of Kubernetes."""


def check_written(model: type[BaseModel], tree: Any, path: Path = ()) -> Iterator[FieldError]:
    """Yield secrets that are no references, and empty lists that mean nothing.

    An address with a password in it is found in whatever parameter it is. No value is told: it
    may be the secret.
    """
    for name, field in model.model_fields.items():
        key = field.alias or name
        if isinstance(tree, Mapping) and key in tree:
            yield from _check(field.annotation, field.metadata, tree[key], (*path, key))


def _check(kind: Any, marks: Sequence[object], value: Any, path: Path) -> Iterator[FieldError]:
    """Check a value of this type, whose annotations are ``marks``."""
    found = set(map(type, marks))
    if SecretMark in found:
        if not is_secret(value):
            yield _no_reference(path, WAY_OUT)
        return
    if HeadersMark in found and isinstance(value, Mapping):
        for name, text in value.items():
            if name.lower() in HEADERS and not is_secret(text):
                yield _no_reference((*path, name), AROUND)
    if Sent in found:
        yield from _check_sent(value, path)
        return
    if Filled in found and value == []:
        yield FieldError(path, "must not be empty", "leave it out, or name what is meant")
    if isinstance(value, str) and PASSWORD.match(value):
        yield FieldError(path, "has a password in it", IN_ADDRESS, whole=True)
    yield from _check_inside(kind, value, path)


def _check_sent(tree: Any, path: Path) -> Iterator[FieldError]:
    """Find literals under the name of a credential, and addresses with a password, at any depth."""
    if is_secret(tree):
        return
    if isinstance(tree, str) and PASSWORD.match(tree):
        yield FieldError(path, "has a password in it", IN_ADDRESS, whole=True)
    elif isinstance(tree, list):
        for index, item in enumerate(tree):
            yield from _check_sent(item, (*path, index))
    elif isinstance(tree, Mapping):
        for key, item in tree.items():
            if names_a_credential(str(key)) and _is_literal(item):
                yield _no_reference((*path, key), IN_TREE)
            else:
                yield from _check_sent(item, (*path, key))


def _is_literal(value: Any) -> bool:
    if isinstance(value, str):
        return bool(value) and not is_template(value)
    return isinstance(value, int | float) and not isinstance(value, bool)


def _no_reference(path: Path, hint: str) -> FieldError:
    return FieldError(path, "must be a reference to a secret", hint, whole=True)


def _check_inside(kind: Any, value: Any, path: Path) -> Iterator[FieldError]:
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        yield from _check(inner[0], inner[1:], value, path)
    elif origin in {Union, UnionType}:
        for branch in _meant(inner, value):
            yield from _check(branch, (), value, path)
    elif isinstance(value, str) and is_template(value) and _holds_a_secret(kind):
        yield FieldError(path, "cannot be an expression: it has a secret", WRITE_OUT, whole=True)
    elif isinstance(kind, type) and issubclass(kind, BaseModel):
        yield from check_written(kind, value, path)
    elif inner and isinstance(value, list):
        for index, item in enumerate(value):
            yield from _check(inner[0], (), item, (*path, index))
    elif len(inner) > 1 and isinstance(value, Mapping):
        for key, item in value.items():
            yield from _check(inner[1], (), item, (*path, key))


def _meant(branches: Sequence[Any], value: Any) -> list[Any]:
    """Return the branches of a union that a value can be meant for.

    A text, or a reference, is meant for the secret; anything else is so only if there is no
    other branch.
    """
    if value is None and NoneType in branches:
        return []
    real = [branch for branch in branches if branch is not NoneType]
    secret = [branch for branch in real if _is_marked(branch)]
    others = [branch for branch in real if not _is_marked(branch)]
    return secret if secret and (isinstance(value, str) or not others) else others


def _is_marked(kind: Any) -> bool:
    return get_origin(kind) is Annotated and any(
        isinstance(mark, SecretMark) for mark in get_args(kind)[1:]
    )


def _holds_a_secret(kind: Any, seen: frozenset[Any] = frozenset()) -> bool:
    if _is_marked(kind):
        return True
    if kind in seen or not isinstance(kind, type) or not issubclass(kind, BaseModel):
        return any(_holds_a_secret(inner, seen) for inner in get_args(kind))
    return any(
        SecretMark in set(map(type, field.metadata))
        or _holds_a_secret(field.annotation, seen | {kind})
        for field in kind.model_fields.values()
    )
