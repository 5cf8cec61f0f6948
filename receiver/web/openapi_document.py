"""The API's own description, OpenAPI 3.1, made of its routes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

from flask import Blueprint, Response, jsonify, request
from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core.core_schema import TypedDictSchema

from receiver.web import (
    application_api,
    health,
    intake,
    messages_api,
    metrics,
    operator_api,
    read_api,
)
from receiver.web.operation import Operation, Who
from receiver.web.responses import Open, Problem

JSON, PROBLEM, TEXT = "application/json", "application/problem+json", "text/plain"
BASIC = {"type": "http", "scheme": "basic", "description": "The token's name, and the token."}
REF = "#/components/schemas/{model}"
REFERRED = re.escape(REF).replace(r"\{model\}", r"(\w+)")

OPENAPI = Operation("get", "/v1/openapi.json", "openapi", "This document.", Who.NOBODY, {200: Open})
OPERATIONS = (
    *intake.OPERATIONS, messages_api.SAY, *read_api.ROUTES.operations,
    *operator_api.ROUTES.operations, *application_api.OPERATIONS, OPENAPI, health.HEALTHZ,
    health.READYZ, metrics.METRICS,
)  # fmt: skip


def openapi_blueprint() -> Blueprint:
    """Make the route of the document; it needs no token and has no secret."""
    routes = Blueprint("openapi", __name__)

    @routes.get(OPENAPI.url_rule)
    def openapi() -> Response:
        return jsonify(openapi_document() | {"servers": [{"url": request.root_path or "/"}]})

    return routes


@cache
def openapi_document() -> dict[str, Any]:
    """Return the document, OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.1).

    It is made at the first request: that takes longer than to build the rest of the app.
    """
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation)
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "postsync",
            "version": version("postsync-receiver"),
            "description": "Acts after Argo CD's syncs, resource by resource, and tells why.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],  # or the prefix that it is served below
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "basic": BASIC,
            },
        },
    }


def _operation(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "description": f"Needs {operation.who}.",
        "tags": [operation.tag],
        "parameters": [*_of_path(operation.path), *_of_query(operation.query)],
        "responses": {
            **{str(status): _answer(status, model) for status, model in operation.answers.items()},
            **{str(status): _answer(status, Problem, PROBLEM) for status in operation.errors},
        },
        "security": [] if operation.who is Who.NOBODY else [{"bearer": []}, {"basic": []}],
    }
    if operation.body is not None:
        described["requestBody"] = _body(operation.body, operation.example)
    return described


def _of_path(path: str) -> Iterator[dict[str, Any]]:
    for name in re.findall(r"\{(\w+)\}", path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _of_query(model: type[BaseModel] | None) -> Iterator[dict[str, Any]]:
    if model is None:
        return
    whole = model.model_json_schema(ref_template=REF)
    for name, one in whole["properties"].items():
        schema = {key: value for key, value in one.items() if key not in {"title", "description"}}
        required = name in whole.get("required", ())
        about = {"description": one["description"]} if "description" in one else {}
        yield {"name": name, "in": "query", "required": required, "schema": schema} | about


def _body(body: type[BaseModel] | str, example: Any) -> dict[str, Any]:
    more = {} if example is None else {"example": example}
    if isinstance(body, str):
        schema = {"type": "string"} if body == TEXT else {}
        return {"required": True, "content": {body: {"schema": schema} | more}}
    return {"required": False, "content": {JSON: {"schema": _ref(body)} | more}}


def _answer(status: int, model: Any, media: str = JSON) -> dict[str, Any]:
    text = {TEXT: {"schema": {"type": "string"}}}
    content = text if model is None else {media: {"schema": _ref(model)}}
    return {"description": HTTPStatus(status).phrase, "content": content}


def _ref(model: Any) -> dict[str, str]:
    return {"$ref": REF.format(model=model.__name__)}


def _schemas() -> dict[str, Any]:
    answers = {model for one in OPERATIONS for model in one.answers.values() if model}
    bodies = {one.body for one in OPERATIONS if isinstance(one.body, type)}
    queries = {one.query for one in OPERATIONS if one.query}
    wanted = [
        *((model, "serialization") for model in sorted(answers | {Problem}, key=_name)),
        *((model, "validation") for model in sorted(bodies | queries, key=_name)),
    ]
    inputs = [(_name(model), mode, TypeAdapter(model)) for model, mode in wanted]
    _, schemas = TypeAdapter.json_schemas(inputs, ref_template=REF, schema_generator=Closed)  # type: ignore[arg-type]  # the modes are its own words
    found: dict[str, Any] = schemas["$defs"]
    _let_fields_choose(found)
    return found


def _let_fields_choose(schemas: dict[str, Any]) -> None:
    """Require no key of the rows of which `fields` may leave out any."""
    for one in OPERATIONS:
        if one.query is None or "fields" not in one.query.model_fields:
            continue
        (answer,) = one.answers.values()
        envelope = schemas[answer.__name__]
        kept = [key for key in envelope.get("required", ()) if key == "next" or "{" not in one.path]
        for name in _below(answer.__name__, schemas, set()):
            schemas[name].pop("required", None)
        envelope["required"] = kept


def _below(name: str, schemas: dict[str, Any], seen: set[str]) -> set[str]:
    """Return the names of a schema and of all that it refers to."""
    seen.add(name)
    for other in re.findall(REFERRED, json.dumps(schemas[name])):
        if other not in seen:
            _below(other, schemas, seen)
    return seen


class Closed(GenerateJsonSchema):
    """Answers have the keys of their type and no others, unless the type says so."""

    def typed_dict_schema(self, schema: TypedDictSchema) -> JsonSchemaValue:
        """Say so of one type."""
        return {"additionalProperties": False, **super().typed_dict_schema(schema)}


def _name(model: Any) -> str:
    return str(model.__name__)
