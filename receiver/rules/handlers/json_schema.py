"""The JSON Schema of a rule file, for editors: what `check` says, while one types.

Draft 7, which yaml-language-server knows best. It says less than `check`: expressions are
strings to it, and secrets are allowed in every string; where one is wanted, nothing else is.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from receiver.contract import Handler
from receiver.contract.durations import DURATION, duration_text
from receiver.rules.handlers.registry import Registry
from receiver.rules.schema.rule_file import RuleFile

Schema: TypeAlias = dict[str, Any]

EXPRESSION = {"$ref": "#/$defs/expression"}
SECRET = {"$ref": "#/$defs/secret"}
NOTES = ("description", "default", "examples")
SHARED: Schema = {
    "expression": {
        "type": "string",
        "pattern": r"\$\{\{",
        "description": "A string with ${{ CEL }}; one that is a single ${{ }} keeps the type.",
    },
    "secret": {
        "description": "A reference to a secret; it is read when the action runs.",
        "type": "object",
        "properties": {
            "env": {
                "type": "string",
                "pattern": "^POSTSYNC_SECRET_[A-Z0-9_]+$",
                "description": "An environment variable.",
            },
            "file": {"type": "string", "description": "A file below the secrets folder."},
            "format": {
                "type": "string",
                "default": "{}",
                "description": "Text around the secret, which takes the place of {}.",
            },
        },
        "oneOf": [{"required": ["env"]}, {"required": ["file"]}],
        "additionalProperties": False,
    },
}


def rules_schema(registry: Registry) -> Schema:
    """Return the schema of a rule file in which ``uses`` decides what ``with`` may hold."""
    schema: Schema = tidy(RuleFile.model_json_schema())
    definitions: Schema = schema["$defs"] | SHARED
    branches = []
    for handler in registry:
        parameters, inner = _parameters(handler)
        definitions |= inner | {handler.name: parameters}
        branches.append(_branch(handler, parameters))
    uses = [{"const": handler.name, "description": handler.summary} for handler in registry]
    for action in ("Action", "FailureAction"):
        definitions[action]["properties"]["uses"] |= {"anyOf": uses}
        definitions[action]["allOf"] = branches
    return schema | {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Rules of postsync",
        "$defs": dict(sorted(definitions.items())),
    }


def _branch(handler: Handler[Any], parameters: Schema) -> Schema:
    then: Schema = {"properties": {"with": {"$ref": f"#/$defs/{handler.name}"}}}
    if parameters.get("required"):
        then["required"] = ["with"]
    return {
        "if": {"properties": {"uses": {"const": handler.name}}, "required": ["uses"]},
        "then": then,
    }


def _parameters(handler: Handler[Any]) -> tuple[Schema, Schema]:
    """Return the schema of a handler's parameters and its definitions, by unique names."""
    schema = tidy(
        handler.params.model_json_schema(ref_template=f"#/$defs/{handler.name}.{{model}}")
    )
    inner = schema.pop("$defs", {})
    named = {f"{handler.name}.{name}": _open_fields(part) for name, part in inner.items()}
    return _open_fields(schema) | {"description": handler.summary}, named


def _open_fields(schema: Schema) -> Schema:
    """Let every field of an object be an expression too, and every string a secret."""
    fields = {name: _open(field) for name, field in schema.get("properties", {}).items()}
    return schema | ({"properties": fields} if fields else {})


def _open(schema: Schema) -> Schema:
    notes = {key: schema[key] for key in NOTES if key in schema}
    bare = {key: value for key, value in schema.items() if key not in NOTES}
    if not bare:
        return schema  # of any type: expressions and secrets are in it
    if bare.get("writeOnly"):
        return {"anyOf": [SECRET], **notes}
    branches: list[Schema] = []
    for branch in bare.get("anyOf", [bare]):
        branches += _open_branch(branch)
    return {"anyOf": [*branches, EXPRESSION], **notes}


def _open_branch(schema: Schema) -> list[Schema]:
    kind = schema.get("type")
    if kind == "string" and "enum" not in schema and "const" not in schema:
        return [schema, SECRET]
    if kind == "array" and schema.get("items"):
        return [schema | {"items": _open(schema["items"])}]
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return [schema | {"additionalProperties": _open(schema["additionalProperties"])}]
    return [_open_fields(schema)]


def tidy(schema: Any) -> Any:
    """Drop what editors show and nobody reads: titles, nulls that stand for "absent"."""
    if isinstance(schema, list):
        return [tidy(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept = _without_null({k: v for k, v in schema.items() if not _is_noise(k, v)})
    if kept.get("pattern") == f"^{DURATION.pattern}$" and isinstance(kept.get("default"), float):
        kept["default"] = duration_text(kept["default"])
    return {
        key: value if key in {"default", "examples"} else _tidy_part(key, value)
        for key, value in kept.items()
    }


def _without_null(schema: Schema) -> Schema:
    branches: list[Schema] = [one for one in schema.get("anyOf", []) if one != {"type": "null"}]
    if len(branches) == 1:
        return {key: value for key, value in schema.items() if key != "anyOf"} | branches[0]
    return schema | ({"anyOf": branches} if branches else {})


def _tidy_part(key: str, value: Any) -> Any:
    if key in {"properties", "$defs"}:  # their keys are names, not words of JSON Schema
        return {name: tidy(part) for name, part in value.items()}
    return tidy(value)


def _is_noise(key: str, value: Any) -> bool:
    return (key == "title" and isinstance(value, str)) or (
        key == "default" and (value is None or isinstance(value, dict))
    )
