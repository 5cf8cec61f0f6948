"""postsync handlers: what an action's `uses` may name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import click

from receiver.contract import Handler
from receiver.reference import Parameter, parameters
from receiver.registry import Registry


@click.command()
@click.argument("name", required=False)
@click.option("--output", type=click.Choice(["text", "json"]), default="text", help="The format.")
def handlers(name: str | None, output: str) -> None:
    """List the handlers, or tell all about the one called NAME."""
    registry = Registry.discover()
    if output == "json":
        chosen = [registry.get(name)] if name else registry
        pages = [_page(handler) for handler in chosen]
        click.echo(json.dumps(pages[0] if name else pages, indent=2))
    elif name:
        click.echo("\n".join(_lines(registry.get(name))))
    else:
        width = max((len(handler.name) for handler in registry), default=0)
        for handler in registry:
            click.echo(f"{handler.name:<{width}}  {handler.summary}")


def _page(handler: Handler[Any]) -> dict[str, Any]:
    return {
        "name": handler.name,
        "summary": handler.summary,
        "extra": handler.extra,
        "parameters": [asdict(parameter) for parameter in parameters(handler)],
        "example": handler.example,
    }


def _lines(handler: Handler[Any]) -> Iterator[str]:
    yield f"{handler.name}: {handler.summary}"
    if handler.extra:
        yield f"Needs the extra {handler.extra}."
    yield "\nParameters:"
    for parameter in parameters(handler):
        yield f"  {parameter.name}  {_facts(parameter)}"
        if parameter.description:
            yield f"      {' '.join(parameter.description.split())}"
    yield "\nExample:"
    yield f"  uses: {handler.name}\n  with:"
    for line in handler.example.strip().splitlines():
        yield f"    {line}".rstrip()


def _facts(parameter: Parameter) -> str:
    if parameter.required:
        return f"{parameter.type}, required"
    default = f", default {parameter.default}" if parameter.default is not None else ""
    return parameter.type + default
