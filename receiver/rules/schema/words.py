"""What the parts of the rule file share: strict mappings, and globs."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError


def as_list(value: Any) -> Any:
    """Read what stands alone as a list of one."""
    if isinstance(value, str | int | float):  # a number or `yes` is told of by what belongs here
        return [value]
    if isinstance(value, list | tuple):
        return value
    raise PydanticCustomError("words", "must be a string or a list of strings")


Globs = Annotated[
    tuple[str, ...],
    BeforeValidator(as_list),
    Field(min_length=1),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string"},
                {"type": "array", "items": {"type": "string"}, "minItems": 1},
            ]
        }
    ),
]
"""One glob or a list of them; any of them matches. ``*`` and ``?`` as in a shell."""


class Strict(BaseModel):
    """camelCase keys, frozen, an unknown key is an error."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True
    )
