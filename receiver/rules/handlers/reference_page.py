"""The page of the handlers, made from their registrations."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from receiver.contract import Handler, Rate
from receiver.contract.durations import DURATION, duration_text
from receiver.rules.handlers.registry import Registry

WORDS = {
    "string": "string",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "object": "mapping",
    "null": "null",
}
HEAD = """<!-- Made by `make generate` from the handlers; edit them, not this page. -->
# Handlers

What an action's `uses` may name, and the parameters under its `with`.
Every parameter takes a string with `${{ CEL }}` in its place; every string also takes a secret,
`{env: POSTSYNC_SECRET_NAME}` or `{file: NAME}`, with an optional `format: "Bearer {}"`. What is a
*reference to a secret* takes that alone, and so do headers that carry credentials.

Where a section says no more about **errors**: 408, 425, 429, 5xx (but 501 and 505) and no answer at
all are tried again by the rule's `retry`, not before a `Retry-After`; any other status that is no
success fails the run at once. What was done before a failure is not done again by the next attempt.

"""
RULE = """\
version: 1
rules:
- name: {handler}
  match: {{resources: [{selector}]}}
  actions:
  - uses: {handler}
    target: {target}
    with:
"""
"""A complete rule around a handler's example."""
CHANGED = "{kind: ConfigMap, namespace: shop}"
NEW_IMAGE = "{group: apps, kind: Deployment, imageChanged: true}"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter in words; a nested one has a dotted name. ``default`` is YAML, or None."""

    name: str
    type: str
    required: bool
    default: str | None
    description: str


def parameters(handler: Handler[Any]) -> list[Parameter]:
    """Return a handler's parameters in their order, nested ones after their parent."""
    schema = handler.params.model_json_schema()
    return [*_parameters(schema, schema.get("$defs", {}), "")]


def notes(handler: Handler[Any], registry: Registry) -> list[tuple[str, str]]:
    """Return what there is to know beside the parameters, each with its heading."""
    found = [
        ("Needs", f"the extra `{handler.extra}`: {registry.install(handler)}."),
        ("Least privilege", handler.permissions),
        ("Limit", _rate(handler.rate) if handler.rate else ""),
        ("Output", handler.output),
        ("Errors", handler.errors),
    ]
    return [(name, text) for name, text in found[0 if handler.extra else 1 :] if text]


def example_rule(handler: Handler[Any]) -> str:
    """Return a complete rule file with the handler's example, as YAML."""
    names = set(re.findall(r"\b(?:resource|resources)\b", handler.example))
    target = "resource" if "resource" in names else "batch" if names else "application"
    selector = NEW_IMAGE if ".images" in handler.example else CHANGED
    head = RULE.format(handler=handler.name, target=target, selector=selector)
    return head + textwrap.indent(handler.example.strip(), " " * 6) + "\n"


def handlers_page(registry: Registry) -> str:
    """Return the page as Markdown."""
    lines = ["| `uses` | |\n|---|---|\n"]
    for handler in registry:
        anchor = handler.name.replace(".", "")  # that of a heading on GitHub and GitLab
        lines.append(f"| [{handler.name}](#{anchor}) | {handler.summary} |\n")
    return "".join([HEAD, *lines, *(_section(handler, registry) for handler in registry)])


def _section(handler: Handler[Any], registry: Registry) -> str:
    lines = [f"\n## {handler.name}\n", f"{handler.summary}\n"]
    lines += [f"**{name}:** {' '.join(text.split())}\n" for name, text in notes(handler, registry)]
    rows = [_row(parameter) for parameter in parameters(handler)]
    lines += ["| parameter | type | default | |", "|---|---|---|---|", *rows]
    return "\n".join([*lines, "", "```yaml", example_rule(handler) + "```", ""])


def _rate(rate: Rate) -> str:
    """Say how many attempts begin with one credential, in the unit that reads best."""
    slow = rate.per_second < 1
    unit, number = ("minute", rate.per_second * 60) if slow else ("second", rate.per_second)
    return (
        f"{number:.4g} attempts a {unit} and credential, {rate.burst} at once; the setting `rates` "
        "has the last word."
    )


def _row(parameter: Parameter) -> str:
    default = "required" if parameter.required else ""
    if parameter.default is not None:
        default = f"`{parameter.default}`"
    cells = (f"`{parameter.name}`", parameter.type, default, parameter.description)
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"


def _parameters(schema: dict[str, Any], defs: dict[str, Any], prefix: str) -> Iterator[Parameter]:
    required = schema.get("required", [])
    for key, field in schema.get("properties", {}).items():
        yield Parameter(
            prefix + key,
            " or ".join(dict.fromkeys(_types(field, defs))),
            key in required,
            _default(field),
            field.get("description", ""),
        )
        for branch in _branches(field, defs):
            yield from _parameters(branch, defs, f"{prefix}{key}.")


def _default(field: dict[str, Any]) -> str | None:
    value = field.get("default")
    if value is None or value in ({}, [], ""):
        return None
    if field.get("pattern") == f"^{DURATION.pattern}$":
        return duration_text(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _types(field: dict[str, Any], defs: dict[str, Any]) -> Iterator[str]:
    for branch in _branches(field, defs):
        if "enum" in branch or "const" in branch:
            yield ", ".join(f"`{word}`" for word in branch.get("enum", [branch.get("const")]))
        elif branch.get("type") == "array":
            inner = " or ".join(_types(branch.get("items", {}), defs))
            yield f"list of {inner}"
        elif branch.get("writeOnly"):
            yield "reference to a secret"
        elif branch.get("type") != "null":
            yield WORDS.get(branch.get("type", ""), "anything")


def _branches(field: dict[str, Any], defs: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "$ref" in field:
        yield from _branches(defs[field["$ref"].rsplit("/", 1)[1]], defs)
    elif "anyOf" in field or "oneOf" in field:
        for branch in field.get("anyOf") or field["oneOf"]:
            yield from _branches(branch, defs)
    else:
        yield field
