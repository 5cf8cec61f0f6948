"""What the parameters of an action must be as they are written, before anything is rendered.

It is asked of rules that are read from files. One that a ledger already has is not judged by it,
so that what is under way goes on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from receiver.contract.annotations import Filled, HeadersMark, SecretMark, Sent
from receiver.core.credential_names import HEADERS, names_a_credential
from receiver.core.type_tree import Slot, slot_of, slots_in
from receiver.core.validation import FieldError, Path
from receiver.rules.expressions.template import is_template
from receiver.rules.handlers.parameter_places import places
from receiver.rules.handlers.secret_refs import is_secret


@dataclass(frozen=True, slots=True)
class Advice:
    """How a secret is written instead; ``way_out`` names the two ways, or the one."""

    way_out: str
    in_address: str

    @property
    def around(self) -> str:
        """Where text may stand around it."""
        return f'{self.way_out}, with format: "Bearer {{}}" for text around it'

    @property
    def in_tree(self) -> str:
        """Where what is no secret may stand as well."""
        return f"{self.around}; what is no secret can be written as an expression: ${{{{ '...' }}}}"

    @property
    def write_out(self) -> str:
        """Where an expression stands that cannot."""
        return f"write it out, with {self.way_out.removeprefix('write ')} for the secret"


OPERATORS = Advice(
    "write {env: POSTSYNC_SECRET_NAME} or {file: NAME}",
    'write {env: POSTSYNC_SECRET_NAME, format: "https://user:{}@host/"}, or with file: NAME',
)
TENANTS = Advice(
    "write {secret: {name: NAME, key: KEY}}",
    'write {secret: {name: NAME, key: KEY}, format: "https://user:{}@host/"}',
)
PASSWORD = re.compile(r"https?://[^/?#@\s]*:[^/?#@\s$]+@")
"""An address with a password in it. A dollar is none: an expression, or `$(NAME)` of Kubernetes."""


def check_written(
    model: type[BaseModel], tree: Any, *, tenant: bool = False
) -> Iterator[FieldError]:
    """Yield secrets that are no references, and empty lists that mean nothing.

    An address with a password in it is found in whatever parameter it is. No value is told: it
    may be the secret.
    """
    advice = TENANTS if tenant else OPERATORS
    for slot, value, path in places(slot_of(model), tree):
        yield from _check(slot, value, path, advice)


def _check(slot: Slot, value: Any, path: Path, advice: Advice) -> Iterator[FieldError]:
    if slot.has(SecretMark):
        if not is_secret(value):
            yield _no_reference(path, advice.way_out)
    elif slot.has(Sent):
        yield from _check_sent(value, path, advice)
    elif slot.has(HeadersMark) and isinstance(value, Mapping):
        yield from _check_headers(value, path, advice)
    elif slot.has(Filled) and value == []:
        yield FieldError(path, "must not be empty", "leave it out, or name what is meant")
    elif isinstance(value, str) and not slot.is_union:
        yield from _check_text(slot, value, path, advice)


def _check_headers(headers: Mapping[str, Any], path: Path, advice: Advice) -> Iterator[FieldError]:
    for name, text in headers.items():
        if name.lower() in HEADERS and not is_secret(text):
            yield _no_reference((*path, name), advice.around)


def _check_text(slot: Slot, text: str, path: Path, advice: Advice) -> Iterator[FieldError]:
    if PASSWORD.match(text):
        yield FieldError(path, "has a password in it", advice.in_address, whole=True)
    if is_template(text) and any(one.has(SecretMark) for one in slots_in(slot)):
        yield FieldError(
            path, "cannot be an expression: it has a secret", advice.write_out, whole=True
        )


def _check_sent(tree: Any, path: Path, advice: Advice) -> Iterator[FieldError]:
    """Find literals under the name of a credential, and addresses with a password, at any depth."""
    if is_secret(tree):
        return
    if isinstance(tree, str) and PASSWORD.match(tree):
        yield FieldError(path, "has a password in it", advice.in_address, whole=True)
    elif isinstance(tree, list):
        for index, item in enumerate(tree):
            yield from _check_sent(item, (*path, index), advice)
    elif isinstance(tree, Mapping):
        for key, item in tree.items():
            if names_a_credential(str(key)) and _is_literal(item):
                yield _no_reference((*path, key), advice.in_tree)
            else:
                yield from _check_sent(item, (*path, key), advice)


def _is_literal(value: Any) -> bool:
    if isinstance(value, str):
        return bool(value) and not is_template(value)
    return isinstance(value, int | float) and not isinstance(value, bool)


def _no_reference(path: Path, hint: str) -> FieldError:
    return FieldError(path, "must be a reference to a secret", hint, whole=True)
