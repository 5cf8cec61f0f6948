"""The definition of PostSyncRule for the API server (CRD), made of the same models as a rule file.

Its schema is structural, so that an unknown key is refused with its path. It says less than
`check`, which also reads expressions and parameters: what passes here and not there makes the
PostSyncRule not Ready.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import yaml

from receiver.contract.durations import DURATION, seconds
from receiver.rules.handlers.json_schema import tidy
from receiver.rules.schema.rule_file import Rule
from receiver.rules.tenants.document import OF_CRON_JOBS
from receiver.rules.tenants.names import CRON_JOB_RULE, GROUP, KIND, PLURAL, SHORT_NAME, VERSION

Schema: TypeAlias = dict[str, Any]

MOST = 100
"""Entries of a list: the API server refuses checks of lists without an end as too costly."""
LONGEST_DURATION = 30

UNTYPED: Schema = {"x-kubernetes-preserve-unknown-fields": True}
"""A structural schema has one type for each value, and no choice of two. Without a type, each word
of the schema is still for values of one type alone: ``pattern`` for texts, ``items`` for lists."""

ATOMIC: Schema = {"x-kubernetes-map-type": "atomic"}
"""A rule is applied whole: merged key by key, `match: {}` after another match would become null."""


def _no_duration() -> str:
    try:
        seconds("")
    except ValueError as error:
        return str(error)
    raise AssertionError


def _rule(rule: str, message: str, field: str = "") -> Schema:
    return {"rule": rule, "message": message} | ({"fieldPath": field} if field else {})


DURATIONS = [_rule(f"self.matches('^{DURATION.pattern}$')".replace("\\d", "[0-9]"), _no_duration())]
NAMES = _rule(f"!self.metadata.name.startsWith('{CRON_JOB_RULE}')", f"metadata.name {OF_CRON_JOBS}")
SPEC = [
    _rule(
        "has(self.match.resources) || self.actions.all(a, !has(a.target) || "
        "a.target == 'application')",
        "target resource and target batch need match.resources: use target application",
        ".actions",
    ),
    _rule(
        "self.actions.all(a, !has(a.name) || self.actions.exists_one(b, has(b.name) && "
        "a.name == b.name))",
        "two actions of this rule have one name: give each a name of its own",
        ".actions",
    ),
    _rule(
        "!has(self.limits) || has(self.match.resources)",
        "needs match.resources: without it a plan has no resources to count",
        ".limits.maxTargets",
    ),
    _rule(
        "!has(self.limits) || !has(self.limits.otherwise) || self.limits.otherwise != 'batch' || "
        "self.actions.exists(a, !has(a.target) || a.target == 'resource')",
        "batch needs an action with target resource: nothing else can be taken in parts; use hold",
        ".limits.otherwise",
    ),
    _rule(
        "!has(self.onNewer) || self.onNewer != 'queue' || !has(self.concurrency)",
        "queue and concurrency cannot be together: each says what a plan waits for; leave one out",
        ".onNewer",
    ),
    _rule(
        "!has(self.debounce) || !has(self.throttle)",
        "debounce and throttle cannot be together: each says when a plan begins; leave one out",
        ".throttle",
    ),
    _rule(
        "!has(self.debounce) || !has(self.debounce.until) || has(self.debounce.key) && "
        "self.debounce.key != ''",
        "needs a key: without one a plan collects the syncs of one application",
        ".debounce.until",
    ),
]


def definition() -> Schema:
    """Return the CustomResourceDefinition."""
    names = {"kind": KIND, "listKind": f"{KIND}List", "plural": PLURAL, "singular": KIND.lower()}
    version = {
        "name": VERSION, "served": True, "storage": True, "subresources": {"status": {}},
        "additionalPrinterColumns": COLUMNS, "schema": {"openAPIV3Schema": _whole()},
    }  # fmt: skip
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP, "scope": "Namespaced", "versions": [version],
            "names": names | {"shortNames": [SHORT_NAME]},
        },
    }  # fmt: skip


def definition_text() -> str:
    """Return the definition as a manifest."""
    head = "# Made by `make generate` from receiver/rules/schema: change it there.\n"
    return head + yaml.safe_dump(definition(), sort_keys=False, allow_unicode=True, width=100)


def _whole() -> Schema:
    schema = tidy(Rule.model_json_schema())
    spec = _structural(schema, schema["$defs"])
    spec["required"].remove("name")
    name = spec["properties"].pop("name")
    return {
        "type": "object",
        "description": "What happens after a sync of Argo CD, as one rule of its namespace.",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {
                "type": "object",
                "properties": {"name": {"type": "string", "maxLength": name["maxLength"]}},
            },
            "spec": spec | ATOMIC | {"x-kubernetes-validations": SPEC},
            "status": STATUS,
        },
        "x-kubernetes-validations": [NAMES],
    }


def _structural(schema: Schema, definitions: Mapping[str, Schema]) -> Schema:
    """Return a schema without references and choices, its default told in words."""
    if "$ref" in schema:
        schema = definitions[schema["$ref"].removeprefix("#/$defs/")] | schema
    made: Schema = {key: schema[key] for key in KEPT if key in schema}
    if note := _note(schema):
        made["description"] = note
    if "anyOf" in schema:
        return made | _choice(schema["anyOf"], definitions)
    if schema["type"] == "object":
        return made | _object(schema, definitions)
    if schema["type"] == "array":
        return made | {"items": _structural(schema["items"], definitions), "maxItems": MOST}
    if schema.get("pattern") == f"^{DURATION.pattern}$":
        bound = {"maxLength": LONGEST_DURATION, "x-kubernetes-validations": DURATIONS}
        return made | bound
    return made | ({"pattern": schema["pattern"]} if "pattern" in schema else {})


KEPT = ("type", "description", "enum", "minimum", "maximum", "maxLength", "minItems", "required")


def _object(schema: Schema, definitions: Mapping[str, Schema]) -> Schema:
    """Return the keys of a mapping; one without known keys takes any, or words by any name."""
    others = schema.get("additionalProperties")
    if "properties" in schema:
        fields = schema["properties"].items()
        return {"properties": {name: _structural(one, definitions) for name, one in fields}}
    if isinstance(others, dict):
        words = _structural(others, definitions)
        return {"additionalProperties": words, "minProperties": 1, "maxProperties": MOST}
    return UNTYPED | {"maxProperties": MOST}


def _choice(either: Sequence[Schema], definitions: Mapping[str, Schema]) -> Schema:
    """Return the schema of a word, a list of some, or of true, false and a mapping.

    What is checked of a mapping without a type is its number of keys and what these have.
    """
    if either[0].get("type") != "boolean":
        return _words(either[0])
    mapping = definitions[either[1]["$ref"].removeprefix("#/$defs/")]
    fields = {
        name: {key: one[key] for key in (*KEPT, "pattern") if key in one}
        for name, one in mapping["properties"].items()
    }
    return UNTYPED | {
        "required": mapping["required"], "properties": fields, "maxProperties": len(fields)
    }  # fmt: skip


def _words(item: Schema) -> Schema:
    """Return the schema of a word, or a list of some."""
    made = UNTYPED | {"minItems": 1, "maxItems": MOST, "maxProperties": 0, "items": item}
    if "enum" in item:
        made["pattern"] = f"^({'|'.join(map(re.escape, item['enum']))})$"
    return made


def _note(schema: Schema) -> str:
    """Return what a field is for, with its default: one in the schema would be written into it."""
    note = " ".join(schema.get("description", "").split())
    default = schema.get("default")
    if default in (None, "", [], ()) or "by default" in note or "default to" in note:
        return note
    shown = " ".join(map(str, default)) if isinstance(default, list) else str(default)
    return f"{note} Default: {shown.lower() if isinstance(default, bool) else shown}."


TEXT: Schema = {"type": "string"}
TIME: Schema = {"type": "string", "format": "date-time"}
CONDITION: Schema = {
    "type": "object",
    "required": ["type", "status", "lastTransitionTime", "reason", "message"],
    "properties": {
        "type": TEXT,
        "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
        "observedGeneration": {"type": "integer", "format": "int64"},
        "lastTransitionTime": TIME,
        "reason": TEXT,
        "message": {"type": "string", "maxLength": 32768},
    },
}
STATUS: Schema = {
    "type": "object",
    "description": "What became of the rule, written by Postsync.",
    "properties": {
        "observedGeneration": {
            "type": "integer", "format": "int64",
            "description": "The generation that the conditions are about.",
        },
        "rule": {"type": "string", "description": "What the rule is called: NAMESPACE/NAME."},
        "conditions": {
            "type": "array",
            "description": "Ready: whether the rule is in force as it is written, or what is wrong "
            "with it.",
            "items": CONDITION,
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["type"],
        },
        "lastMatched": {
            "type": "object",
            "description": "The last sync that it matched.",
            "properties": {"time": TIME, "sync": TEXT, "application": TEXT},
        },
        "lastLeftOut": {
            "type": "object",
            "description": "The last sync from which it was left out as it is written now: "
                           "its namespace made too much of it, or took too long.",
            "properties": {"time": TIME, "sync": TEXT, "application": TEXT, "message": TEXT},
        },
        "counts": {
            "type": "object",
            "description": "How many of its plans have ended in which way.",
            "additionalProperties": {"type": "integer", "format": "int64"},
        },
    },
}  # fmt: skip
READY = '.status.conditions[?(@.type=="Ready")]'


def _column(name: str, path: str, kind: str = "string", priority: int = 0) -> Schema:
    shown = {"priority": priority} if priority else {}
    return {"name": name, "type": kind, "jsonPath": path} | shown


COLUMNS = [
    _column("Ready", f"{READY}.status"),
    _column("Last matched", ".status.lastMatched.time", "date"),
    _column("Succeeded", ".status.counts.succeeded", "integer"),
    _column("Failed", ".status.counts.failed", "integer"),
    _column("Age", ".metadata.creationTimestamp", "date"),
    _column("Message", f"{READY}.message", priority=1),
]
