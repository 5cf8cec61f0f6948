"""The API's document, and the server held to it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from doors import AS_OPERATOR, AS_SENDER, OPERATOR, SENDER, Doors, doors
from hypothesis import HealthCheck, given, settings
from jsonschema import Draft202012Validator
from notifications import notification, resource
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from receiver.ledger.connect import open_ledger
from receiver.web.openapi import openapi_document
from receiver.web.openapi.operations import OPERATIONS, Operation, Who

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
    unsupported_method,
]


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    home = tmp_path_factory.mktemp("home")
    ledger = open_ledger(home / "ledger.db")
    with doors(ledger, home) as made:
        for application in ("shop", "blog"):
            body = notification(resource("a"), application=application)
            made.client.post("/v1/notifications", data=body, headers=AS_SENDER)
        made.client.put("/v1/pauses/rules/purge", headers=AS_OPERATOR)
        yield made
    ledger.close()


@pytest.fixture(scope="module")
def document(web: Doors) -> Any:
    config = schemathesis.Config.from_dict(
        {"generation": {"mode": "all", "max-examples": 12, "deterministic": True}}
    )
    return schemathesis.openapi.from_wsgi("/v1/openapi.json", web.app, config=config)


ASKED = [
    pytest.param(operation, mode, id=f"{operation.name}-{mode.value}")
    for operation in OPERATIONS
    for mode in GenerationMode
    if mode is GenerationMode.POSITIVE or operation.query or isinstance(operation.body, type)
]
"""A question can only be wrong where something is asked for."""


@pytest.mark.parametrize(("operation", "mode"), ASKED)
def test_the_server_answers_as_its_document_says(
    document: Any, operation: Operation, mode: GenerationMode
) -> None:
    """Whatever it is asked, it answers with a documented status and body, and never with 5xx."""
    described = document[operation.path][operation.method.upper()]
    token = SENDER if operation.who is Who.SENDER else OPERATOR

    @settings(
        max_examples=12,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=described.as_strategy(generation_mode=mode))
    def ask(case: Case[Any]) -> None:
        case.call_and_validate(headers={"Authorization": f"Bearer {token}"}, checks=CHECKS)

    ask()


def test_the_document_is_valid() -> None:
    """Its schemas are schemas, and every reference leads somewhere."""
    document = openapi_document()
    for model in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(model)
    text = json.dumps(document)
    for name in re.findall(r'"#/components/schemas/(\w+)"', text):
        assert name in document["components"]["schemas"]


def test_every_route_is_documented_and_every_documented_one_is_there(web: Doors) -> None:
    """Whoever adds a route describes it."""
    routes = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in web.app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    paths = openapi_document()["paths"]
    assert routes == {(path, method) for path, found in paths.items() for method in found}


def test_the_document_needs_no_token(web: Doors) -> None:
    """Whoever writes a client may read it."""
    answer = web.client.get("/v1/openapi.json")
    assert (answer.status_code, answer.json and answer.json["openapi"]) == (200, "3.1.1")
