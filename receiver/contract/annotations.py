"""Annotations of a parameter for `check`, beside its type: secrets, CEL, headers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

from pydantic import GetJsonSchemaHandler
from pydantic_core import CoreSchema


@dataclass(frozen=True, slots=True)
class Cel:
    """Marks a parameter as a CEL expression that the handler evaluates during the run.

    Write ``until: Annotated[str, Cel("answer")]``: `check` then compiles what the user
    wrote with these variables declared, and `Call.evaluate` evaluates it. In the annotation of
    a mapping's values, `dict[str, Annotated[str, Cel("answer")]]`, each value is one.
    """

    variables: tuple[str, ...]

    def __init__(self, *variables: str) -> None:
        object.__setattr__(self, "variables", variables)


@dataclass(frozen=True, slots=True)
class SecretMark:
    """Marks a parameter that is written as a reference and in no other way; see `Secret`."""

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Say so in the schema: the reference pages and the editors' schema read it there."""
        return handler(core) | {"writeOnly": True}


Secret: TypeAlias = Annotated[str, SecretMark()]
"""A token, a key or a password: `check` refuses a literal and an expression in its place.

The handler gets a string. Where a value may or may not be a secret, a plain `str` takes both.
"""


@dataclass(frozen=True, slots=True)
class HeadersMark:
    """Marks a mapping as headers of HTTP by their names; see `Headers`."""


Headers: TypeAlias = Annotated[dict[str, str], HeadersMark()]
"""Headers: `check` refuses a literal or an expression in one that carries a credential.

Those are `receiver.core.credential_names.HEADERS`: `Authorization`, `Cookie` and their like.
"""


@dataclass(frozen=True, slots=True)
class Sent:
    """Marks a tree that is sent to a service as it is written.

    Write ``json: Annotated[Any, Sent()]``: `check` then refuses a literal under a key that names a
    credential (`receiver.core.credential_names`), at any depth. A reference to a secret can
    stand in any place of it.
    """


@dataclass(frozen=True, slots=True)
class Filled:
    """Marks a list that makes no sense when it is written empty.

    Write ``tags: Annotated[tuple[str, ...], Filled()]``: `check` refuses ``tags: []``. An
    expression may still give an empty list, for which there is then nothing to do.
    """

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Say so in the schema, of the list alone where there is more to choose from."""
        schema = handler(core)
        branches = schema.get("anyOf", [schema])
        for branch in branches:
            if branch.get("type") == "array":
                branch["minItems"] = 1
        return schema
