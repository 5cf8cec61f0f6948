"""Checks a handler's registration, without an attempt."""

from __future__ import annotations

from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from receiver.core.type_tree import slot_of, slots_in
from receiver.rules.expressions.cel import Expressions
from receiver.rules.handlers.entry_points import NAME
from receiver.rules.handlers.registry import Registry
from receiver.rules.handlers.secret_refs import split_secrets
from receiver.testkit.attempts import written_parameters
from receiver.testkit.cases import ContractBroken, Subject

SUMMARY = 100
"""Characters of a summary: a line of `postsync handlers`."""


def check_words(subject: Subject) -> None:
    """A name like service.verb, a summary of one line, a sentence for each parameter."""
    handler = subject.handler
    if not NAME.fullmatch(handler.name):
        raise ContractBroken(
            f"the name {handler.name!r} is not like service.verb, in lower case, "
            "at most 100 characters"
        )
    if not handler.summary.endswith(".") or len(handler.summary) > SUMMARY:
        raise ContractBroken(f"the summary is no sentence of at most {SUMMARY} characters")
    for model in _models(handler.params):
        for name, field in model.model_fields.items():
            if not (field.description or "").rstrip().endswith("."):
                raise ContractBroken(f"{model.__name__}.{name} is not described by a sentence")


def check_example(subject: Subject) -> None:
    """The example is valid as `postsync check` reads it, expressions compiled."""
    handler = subject.handler
    tree = yaml.safe_load(handler.example)
    if not isinstance(tree, dict):
        raise ContractBroken("the example is no mapping in YAML")
    found = Registry([handler]).check_parameters(handler, tree, Expressions())
    if found:
        raise ContractBroken("the example is refused: " + "; ".join(map(str, found)))


def check_strictness(subject: Subject) -> None:
    """An unknown field is refused, in nested models too, and nothing can be changed later."""
    for model in _models(subject.handler.params):
        if not model.model_config.get("frozen"):
            raise ContractBroken(f"{model.__name__} is not frozen: base it on contract.Params")
        try:
            model.model_validate({"noSuchField": 1})
        except ValidationError as error:
            kinds = {(item["type"], item["loc"]) for item in error.errors()}
            if ("extra_forbidden", ("noSuchField",)) in kinds:
                continue
        raise ContractBroken(f"{model.__name__} takes unknown fields: base it on contract.Params")


def check_lane(subject: Subject) -> None:
    """The lane is a text, also while the address is a secret and not known."""
    plain, _ = split_secrets(written_parameters(subject))
    for parameters in (plain, {}):
        lane = subject.handler.lane(parameters)
        if not isinstance(lane, str):
            raise ContractBroken(f"the lane of {parameters} is {lane!r}, not a text")


def _models(kind: Any) -> list[type[BaseModel]]:
    """Return a model and those within it."""
    return [slot.kind for slot in slots_in(slot_of(kind)) if slot.is_model]
