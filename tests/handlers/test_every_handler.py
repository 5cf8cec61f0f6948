from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, get_args

import pytest
import yaml
from peers import Reply, Seen, call, door, peer
from pydantic import BaseModel, ValidationError

from handlers import builtin
from receiver.contract import Handler
from receiver.errors import AttemptError
from receiver.expressions import Expressions
from receiver.outbound import Outbound
from receiver.registry import Registry

HANDLERS = builtin()
BY_NAME = pytest.mark.parametrize("handler", HANDLERS, ids=lambda handler: str(handler.name))
SECRET = "hush-hush-0123456789"


def _models(kind: Any) -> Iterator[type[BaseModel]]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
        for field in kind.model_fields.values():
            yield from _models(field.annotation)
    for inner in get_args(kind):
        yield from _models(inner)


def test_the_folder_is_scanned() -> None:
    """A file in it is a handler, under a name of its own."""
    names = [handler.name for handler in HANDLERS]
    assert {"http.request", "log.message"} <= set(names)
    assert len(set(names)) == len(names)


def test_the_installed_entry_point_finds_the_same() -> None:
    """Built-in handlers come through the public door."""
    assert {one.name for one in HANDLERS} <= {one.name for one in Registry.discover()}


@BY_NAME
def test_the_example_is_valid(handler: Handler[Any]) -> None:
    """As `check` reads it, expressions compiled."""
    tree = yaml.safe_load(handler.example)
    assert Registry([handler]).check_parameters(handler, tree, Expressions()) == []


@BY_NAME
def test_an_unknown_field_is_refused(handler: Handler[Any]) -> None:
    """A slip of the pen is no default."""
    tree = yaml.safe_load(handler.example) | {"noSuchField": 1}
    with pytest.raises(ValidationError, match="noSuchField"):
        handler.params.model_validate(tree)


@BY_NAME
def test_parameters_are_frozen_and_described(handler: Handler[Any]) -> None:
    """Each has a sentence for the reference, in nested models too."""
    for model in _models(handler.params):
        assert model.model_config["frozen"] is True
        assert model.model_config["extra"] == "forbid"
        for name, field in model.model_fields.items():
            assert (field.description or "").rstrip().endswith("."), f"{model.__name__}.{name}"


@BY_NAME
def test_its_words_are_complete(handler: Handler[Any]) -> None:
    """A name like service.verb, and a summary of one sentence."""
    service, verb = handler.name.split(".")
    assert service
    assert verb
    assert handler.summary.endswith(".")
    assert len(handler.summary) <= 100


@BY_NAME
@pytest.mark.parametrize("status", [200, 302, 401, 429, 500])
def test_no_error_tells_a_secret(handler: Handler[Any], status: int) -> None:
    """Even where the server echoes the whole request, in its answer's headers as well."""

    def echo(seen: Seen) -> Reply:
        told = json.dumps([seen.path, dict(seen.headers), seen.body.decode()])
        return Reply(status, told.encode(), {"X-Echo": SECRET})

    outbound = Outbound()
    with peer(echo) as there:
        parameters = handler.params.model_validate(_full_of_secrets(handler, there.url))
        attempt = call(door(outbound, 5, SECRET, f"Bearer {SECRET}"))
        try:
            handler.run(parameters, attempt)
        except AttemptError as error:
            assert SECRET not in str(error)  # noqa: PT017 not every status raises
        outbound.close()


def _full_of_secrets(handler: Handler[Any], url: str) -> Any:
    """Return its example with our server's address and a secret in place of each reference."""

    def fill(value: Any) -> Any:
        if isinstance(value, dict) and "env" in value:
            return value.get("format", "{}").replace("{}", SECRET)
        if isinstance(value, dict):
            return {key: fill(item) for key, item in value.items()}
        if isinstance(value, str) and value.startswith("https://"):
            return f"{url}/{SECRET}"
        return value

    return fill(yaml.safe_load(handler.example))
