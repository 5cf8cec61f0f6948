"""The API's document, and the server held to it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from desks import house_of, put_in_force
from doors import AS_OPERATOR, OPERATOR, SENDER, Doors, doors
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from receiver.ledger.engine.open import open_ledger
from receiver.notification.parse import read_notification
from receiver.web.openapi_document import OPERATIONS, openapi_document
from receiver.web.operation import Operation, Who

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
    unsupported_method,
]


RULES = """
- name: purge
  match: {resources: [{kind: ConfigMap, name: a*}]}
  actions:
  - {uses: log.message, with: {text: "${{ resource.name }}"}}
  - {name: then, uses: log.message, wave: 1, target: application, with: {text: done}}
  onFailure: [{uses: log.message, with: {text: failed}}]
- name: careful
  match: {resources: [{kind: ConfigMap, name: b*}]}
  limits: {maxTargets: 1}
  actions: [{uses: log.message, with: {text: held}}]
- name: gather
  match: {resources: [{kind: ConfigMap, name: c*}]}
  debounce: {window: 1m, maxWait: 2m}
  actions: [{uses: log.message, target: batch, with: {text: gathered}}]
"""


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    """What failed, ended well, is held, collects and is paused."""
    home = tmp_path_factory.mktemp("home")
    ledger = open_ledger(home / "ledger.db")
    house = house_of(ledger, RULES)
    put_in_force(house)
    with doors(ledger, home) as made, pytest.MonkeyPatch.context() as patch:
        # No dispatcher gives a sign of life here, which is an illness after a while.
        patch.setattr("receiver.web.health.DEAD_AFTER", math.inf)
        house.sync("a1", "a2", application="shop")
        house.end(*house.claim(), fails="answered 404")
        house.work()
        house.sync("a1", application="blog")
        house.work()
        house.sync("b1", "b2", at=1)
        house.sync("c1", at=2)
        house.sync("c2", at=3)
        house.store("a3", at=4)
        message = "/v1/messages?application=argocd/shop"
        made.client.post(message, data="said", headers=AS_OPERATOR)
        made.client.put("/v1/pauses/rules/purge", headers=AS_OPERATOR)
        yield made
    ledger.close()


@pytest.fixture(scope="module")
def known(web: Doors) -> dict[str, list[str]]:
    """What there is, by the names that paths have for it."""
    reader = web.intake.reader
    lists: dict[str, Any] = {"sync": reader.syncs, "plan": reader.plans, "run": reader.runs}
    ids = {name: [row["id"] for row in read(limit=100)] for name, read in lists.items()}
    ids["delivery"] = [kept.row["id"] for kept in reader.deliveries(limit=100)[0]]
    return ids | {"name": ["purge", "log.message"], "channel": ["sync", "health"]}


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
    document: Any, known: dict[str, list[str]], operation: Operation, mode: GenerationMode
) -> None:
    """Whatever it is asked, it answers with a documented status and body, and never with 5xx."""
    named = re.findall(r"\{(\w+)\}", operation.path) if mode is GenerationMode.POSITIVE else []
    there = st.fixed_dictionaries({name: st.sampled_from(known[name]) for name in named})
    described = document[operation.path][operation.method.upper()]
    token = SENDER if operation.who is Who.SENDER else OPERATOR

    @settings(
        max_examples=12,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=described.as_strategy(generation_mode=mode), path=st.none() | there)
    def ask(case: Case[Any], path: dict[str, str] | None) -> None:
        if path:
            case.path_parameters = path
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


@pytest.mark.parametrize("operation", [one for one in OPERATIONS if one.body], ids=lambda o: o.name)
def test_every_body_has_an_example_that_is_right(operation: Operation) -> None:
    """It is what readers copy."""
    example = operation.example
    if isinstance(operation.body, type) and issubclass(operation.body, BaseModel):
        operation.body.model_validate(example or {})
    elif operation.who is Who.SENDER:
        body = json.dumps(example).encode()
        assert read_notification(body, sender="argocd", channel="sync", query={}).sync.resources
    else:
        assert example


def test_every_route_is_documented_and_every_documented_one_is_there(web: Doors) -> None:
    """Whoever adds a route describes it; the page is for people."""
    routes = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in web.app.url_map.iter_rules()
        if rule.rule != "/" and not rule.rule.startswith("/page")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    paths = openapi_document()["paths"]
    assert routes == {(path, method) for path, found in paths.items() for method in found}


def test_the_document_needs_no_token(web: Doors) -> None:
    """Whoever writes a client may read it."""
    answer = web.client.get("/v1/openapi.json")
    assert (answer.status_code, answer.json and answer.json["openapi"]) == (200, "3.1.1")
