"""Writes what the Helm chart has of other places: Helm reads nothing outside of the chart's folder.

Files are copied; of the values' schema, what stands in `$defs` with a name of the settings is made
of their models. The rest of the schema is written by hand.
"""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from pydantic.alias_generators import to_camel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from receiver.rules.handlers.secret_refs import ENV
from receiver.settings.model import OURS, Settings

CHART = Path("charts/postsync")
SCHEMA = CHART / "values.schema.json"
COPIES = {
    "alerts.yaml": Path("config/prometheus/alerts.yaml"),
    "definition.yaml": Path("k8s/components/postsyncrules/definition.yaml"),
    "first-steps.yaml": Path("k8s/base/rules/first-steps.yaml"),
    "postsync.json": Path("config/grafana/postsync.json"),
}
"""What the chart has in its folder `files`, and of what."""

MODELS = (
    "receiver/settings/model.py", "receiver/settings/argocd.py", "receiver/settings/tenants.py",
    "receiver/rules/tenants/bounds.py", "receiver/rules/schema/rate.py",
)  # fmt: skip
"""Where the models of the settings say what their fields mean."""

NOT_A_SETTING = {
    "home", "database", "rules", "host", "port", "tls_certificate", "tls_key", "gunicorn_config",
    "url_prefix", "argocd", "tenants", "tracing",
}  # fmt: skip
"""Settings that the chart makes of other values, or that need files that no value brings."""

PROXY = "a password is never written here: have the address as POSTSYNC_PROXY in secrets.variables"

GRANT = {
    "description": "What Postsync may in the namespace.",
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "secrets": {
            "description": "Names of the Secrets that its rules may use.",
            "type": "array",
            "items": {"type": "string", "minLength": 1},
        },
        "jobs": {"description": "Run Jobs there.", "type": "boolean"},
        "cronJobs": {"description": "Follow annotated CronJobs there.", "type": "boolean"},
    },
}
NEVER = "a secret is never written here: name it"
REFERENCE = {
    "description": "Where a secret is: {file: NAME}, or {env: POSTSYNC_SECRET_NAME}.",
    "if": {"type": "object"},
    "then": {
        "additionalProperties": False,
        "minProperties": 1,
        "properties": {
            "file": {"type": "string"},
            "env": {"type": "string", "pattern": f"^{ENV.pattern}$"},
            "format": {"type": "string"},
        },
    },
    "else": {"const": f"{NEVER}, as {{file: NAME}} or {{env: POSTSYNC_SECRET_NAME}}"},
}


class Values(GenerateJsonSchema):
    """A schema of the settings as Helm's users write them."""

    def function_plain_schema(self, schema: core_schema.PlainValidatorFunctionSchema) -> Any:
        """What a function of ours reads: a reference to a secret, or a host."""
        name = getattr(schema["function"]["function"], "__name__", "")
        return dict(REFERENCE) if name == "_reference" else {"type": "string"}

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        """Without null, by which Helm takes a value away."""
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """Without the default, which is the settings' own affair."""
        return self.generate_inner(schema["schema"])


def main() -> int:
    """Write the files, or with ``--check`` return 1 if one is stale."""
    wanted = {CHART / "files" / name: file.read_text("utf-8") for name, file in COPIES.items()}
    wanted[SCHEMA] = with_settings(json.loads(SCHEMA.read_text("utf-8")))
    there = {file: file.read_text("utf-8") for file in wanted if file.is_file()}
    stale = [file for file, text in wanted.items() if there.get(file) != text]
    if "--check" not in sys.argv:
        for file in stale:
            file.write_text(wanted[file], "utf-8")
    elif stale:
        sys.stderr.write(f"{', '.join(map(str, stale))}: not as generated; run `make generate`\n")
        return 1
    return 0


def with_settings(schema: dict[str, Any]) -> str:
    """Return the schema with what it has of the settings made anew."""
    made = TypeAdapter(Settings).json_schema(schema_generator=Values)
    models = {name: _told(name, model) for name, model in made.pop("$defs").items()}
    own = _told("Settings", made)["properties"]
    settings = {to_camel(name): own[name] for name in own if name not in NOT_A_SETTING}
    settings["proxy"] |= {"if": {"pattern": "@"}, "then": {"const": PROXY}}
    tenants = models.pop("TenantsSetting")["properties"]
    tenants["bounds"].pop("minItems")
    tenants["grants"] = {
        "description": "By namespace, what the chart grants Postsync there.",
        "type": "object",
        "additionalProperties": GRANT,
    }
    tenants["crd"] = {
        "description": "The kind PostSyncRule, and the roles of those who write it.",
        "type": "boolean",
    }
    schema["properties"]["urlPrefix"] |= {
        "if": {"pattern": f"^/({'|'.join(OURS)})(/|$)"},
        "then": {"const": "a path that is none of the receiver, such as /postsync"},
    }
    schema["$defs"] = {
        "externalSecret": schema["$defs"]["externalSecret"],
        "settings": _object("Settings of the receiver, by their keys.", settings),
        "tenants": _object("Namespaces that may have rules of their own.", tenants),
        **models,
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _object(description: str, properties: dict[str, Any]) -> dict[str, Any]:
    whole = {"description": description, "type": "object", "additionalProperties": False}
    return whole | {"properties": properties}


def _told(name: str, model: dict[str, Any]) -> dict[str, Any]:
    """Return a model's schema with what its class says of each field, and without titles."""
    told = _sentences()[name]
    model.pop("title", None)
    for key, field in model["properties"].items():
        field.pop("title", None)
        if key in told and "$ref" not in field:
            field["description"] = told[key]
    return model


def _sentences() -> dict[str, dict[str, str]]:
    """Return the sentences below the fields of the models' classes, by class and key."""
    found: dict[str, dict[str, str]] = {}
    for file in MODELS:
        for node in ast.parse(Path(file).read_text("utf-8")).body:
            if isinstance(node, ast.ClassDef):
                above = [found.get(ast.unparse(base), {}) for base in node.bases]
                found[node.name] = {**dict(_of_fields(node)), **(above[0] if above else {})}
    return found


def _of_fields(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, below in pairwise(node.body):
        if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
            continue
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            sentence = " ".join(str(below.value.value).split())
            yield from ((key, sentence) for key in (field.target.id, to_camel(field.target.id)))


if __name__ == "__main__":
    sys.exit(main())
