"""What `fields` of a query asks for: keys of the answer, checked against its type."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import cache
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from pydantic import Field
from typing_extensions import is_typeddict

from receiver.core.validation import did_you_mean
from receiver.ledger.queries.fields import WHOLE, Fields
from receiver.web.problem_details import Refusal

ALL = "*"

FieldsWanted = Annotated[
    str,
    Field(
        max_length=1000,
        description="Answer these keys alone, by commas: of each row, in a list. One below another "
        "is written with a dot; `*` is every key, also what is left out by default.",
        examples=["id,state,reason"],
    ),
]  # fmt: skip


def fields_of(text: str, model: type, *, without: Collection[str] = ()) -> Fields:
    """Return what is asked for of an answer of this type.

    Args:
        text: names, by commas.
        model: a TypedDict.
        without: what is left out where nothing is asked for, each with dots.

    Raises:
        Refusal: 400 ``bad_parameter``, a name that there is not.
    """
    names = [name for one in text.split(",") if (name := one.strip())]
    if not names:
        return _default(model, frozenset(without))
    return _tree([name.split(".") for name in names], model, "")


@cache
def _default(model: type, without: frozenset[str]) -> Fields:
    """Return all keys but some, which may be below others."""
    if not without:
        return WHOLE
    found = {}
    for name, below in _names(model).items():
        if name not in without and below is not None:
            under = {one.removeprefix(f"{name}.") for one in without if one.startswith(f"{name}.")}
            found[name] = _default(below, frozenset(under))
        elif name not in without:
            found[name] = WHOLE
    return Fields(found)


def _tree(paths: list[list[str]], model: type, place: str) -> Fields:
    """Return what these paths ask for together; what is whole needs no more."""
    known = _names(model)
    tree: dict[str, list[list[str]]] = {}
    for first, *rest in paths:
        if first != ALL and first not in known and not _is_open(model):
            raise _unknown(".".join((place + first, *rest)), first, known)
        if rest and known.get(first) is None:
            raise _unknown(".".join((place + first, *rest)), rest[0], {})
        tree.setdefault(first, []).append(rest)
    if ALL in tree:
        return WHOLE
    found = {}
    for name, below in tree.items():
        nested = known.get(name)
        whole = nested is None or [] in below
        found[name] = WHOLE if whole or nested is None else _tree(below, nested, f"{place}{name}.")
    return Fields(found)


def _unknown(asked: str, name: str, known: Mapping[str, Any]) -> Refusal:
    meant = did_you_mean(name, list(known))
    detail = f"fields: there is no {asked}" + (f"; {meant}" if meant else "")
    there = f"there are {', '.join(known)}" if known else "it has no keys that are chosen"
    return Refusal("bad_parameter", detail, hint=there)


@cache
def _names(model: type) -> dict[str, type | None]:
    """Return the keys of a type, each with the type of the rows below it, if it has such."""
    return {name: next(_rows(hint), None) for name, hint in get_type_hints(model).items()}


def _rows(hint: Any) -> Iterator[type]:
    """Yield the types of rows that are in a list or may be null."""
    if is_typeddict(hint):
        yield hint
    elif get_origin(hint) is not dict:
        for one in get_args(hint):
            yield from _rows(one)


def _is_open(model: type) -> bool:
    """Whether rows may have other keys, too."""
    return dict(getattr(model, "__pydantic_config__", {})).get("extra") == "allow"
