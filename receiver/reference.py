"""The page of the handlers, made from their registrations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from receiver.contract import Handler, Rate
from receiver.durations import DURATION, duration_text
from receiver.registry import Registry

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
`{env: POSTSYNC_SECRET_NAME}` or `{file: NAME}`, with an optional `format: "Bearer {}"`.
"""


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


def handlers_page(registry: Registry) -> str:
    """Return the page as Markdown."""
    return HEAD + "".join(map(_section, registry))


def _section(handler: Handler[Any]) -> str:
    lines = [f"\n## {handler.name}\n", f"{handler.summary}\n"]
    if handler.extra:
        install = f"`pip install 'postsync-receiver[{handler.extra}]'`"
        lines.append(f"Needs the extra `{handler.extra}`: {install}.\n")
    if handler.permissions:
        lines.append(f"**Least privilege:** {handler.permissions}\n")
    if handler.rate:
        lines.append(f"**Limit:** {_rate(handler.rate)}\n")
    rows = [_row(parameter) for parameter in parameters(handler)]
    lines += ["| parameter | type | default | |", "|---|---|---|---|", *rows]
    lines += ["\n```yaml", f"uses: {handler.name}", "with:"]
    lines += [f"  {line}".rstrip() for line in handler.example.strip().splitlines()]
    return "\n".join(lines) + "\n```\n"


def _rate(rate: Rate) -> str:
    """Say how many attempts begin with one credential, in the unit that reads best."""
    unit, number = ("second", rate.per_second) if rate.per_second >= 1 else ("minute", 0.0)
    number = number or rate.per_second * 60
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
        for model in _models(field, defs):
            yield from _parameters(model, defs, f"{prefix}{key}.")


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
        elif branch.get("type") != "null":
            yield WORDS.get(branch.get("type", ""), "anything")


def _models(field: dict[str, Any], defs: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for branch in _branches(field, defs):
        if branch.get("properties"):
            yield branch


def _branches(field: dict[str, Any], defs: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "$ref" in field:
        yield from _branches(defs[field["$ref"].rsplit("/", 1)[1]], defs)
    elif "anyOf" in field or "oneOf" in field:
        for branch in field.get("anyOf") or field["oneOf"]:
            yield from _branches(branch, defs)
    else:
        yield field
