"""`postsync handlers`: lists the handlers that an action's `uses` may name."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import click

from receiver.cli.screen import Styled, write_json, write_line, write_text
from receiver.contract import Handler
from receiver.rules.handlers.reference_page import Parameter, example_rule, notes, parameters
from receiver.rules.handlers.registry import Registry


@click.command()
@click.argument("name", required=False)
@click.option("--output", type=click.Choice(["text", "json"]), default="text", help="The format.")
def handlers(name: str | None, output: str) -> None:
    """List the handlers, or tell all about the one called NAME.

    Each comes with where it is from: built-in, or the distribution that is installed beside.
    Exits 1 if one of those is broken; stderr says why, and the other handlers can be used.

    \b
      postsync handlers
      postsync handlers http.request
    """  # noqa: D301 click's \b keeps the lines
    registry = Registry.discover()
    if output == "json":
        chosen = [registry.find(name)] if name else registry
        pages = [_page(registry, handler) for handler in chosen]
        write_json(pages[0] if name else pages)
    elif name:
        write_text("\n".join(_lines(registry, registry.find(name))))
    else:
        _list(registry)
    if registry.broken and not name:
        for broken in registry.broken:
            write_line(Styled(f"postsync: {broken.reason}", "red"), err=True)
        sys.exit(1)


def _list(registry: Registry) -> None:
    rows = [(one.name, str(registry.origin(one.name)), one.summary) for one in registry]
    widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
    for name, origin, summary in rows:
        write_line(f"{name:<{widths[0]}}  {origin:<{widths[1]}}  {summary}")


def _page(registry: Registry, handler: Handler[Any]) -> dict[str, Any]:
    origin = registry.origin(handler.name)
    return {
        "name": handler.name,
        "summary": handler.summary,
        "distribution": asdict(origin) if origin else None,
        "extra": handler.extra,
        "installed": registry.complete(handler),
        "permissions": handler.permissions,
        "rate": asdict(handler.rate) if handler.rate else None,
        "output": handler.output,
        "errors": handler.errors,
        "parameters": [asdict(parameter) for parameter in parameters(handler)],
        "example": handler.example,
    }


def _lines(registry: Registry, handler: Handler[Any]) -> Iterator[str]:
    yield f"{handler.name}: {handler.summary}"
    yield f"From: {registry.origin(handler.name)}."
    for heading, text in notes(handler, registry):
        yield f"{heading}: {' '.join(text.split())}"
    if not registry.complete(handler):
        yield f"The extra {handler.extra} is not installed here: no rule can use the handler."
    yield "\nParameters:"
    for parameter in parameters(handler):
        yield f"  {parameter.name}  {_facts(parameter)}"
        if parameter.description:
            yield f"      {' '.join(parameter.description.split())}"
    yield "\nExample:"
    yield textwrap.indent(example_rule(handler).rstrip(), "  ")


def _facts(parameter: Parameter) -> str:
    if parameter.required:
        return f"{parameter.type}, required"
    default = f", default {parameter.default}" if parameter.default is not None else ""
    return parameter.type + default
