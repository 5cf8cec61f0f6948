"""`postsync convert`: rule files become PostSyncRules, and these a rule file."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import yaml

from receiver.cli import options
from receiver.cli.screen import write_line, write_text
from receiver.core.errors import PostsyncError, RuleError
from receiver.rules.expressions.cel import Expressions
from receiver.rules.handlers.registry import Registry
from receiver.rules.loading.load import load_rules, readings
from receiver.rules.loading.parser import Reading
from receiver.rules.tenants.conversion import owned_by, resources_of, rule_file_of
from receiver.rules.tenants.document import NAMESPACE

COMMENTS = "note: comments are not taken along"
NARROWER = (
    "note: these rules see syncs of Applications with destination namespace {} alone, and of "
    "projects that the settings grant to it"
)
WIDER = (
    "note: the rules of a file see the syncs of all Applications: match.application can say "
    "which they are for"
)


@click.command()
@options.rule_files
@click.option("--namespace", default="", help="The namespace that rules of a rule file go to.")
def convert(*, files: tuple[Path, ...], namespace: str) -> None:
    """Print the rules of FILES as PostSyncRules of a namespace, or PostSyncRules as a rule file.

    The defaults of a rule file are written into each rule, where they are not the built-in ones.
    What no rule in a namespace may have is refused, as the operator's secrets are. Comments
    are lost.

    \b
      postsync convert rules/shop.yaml --namespace shop > shop/rules.yaml
      postsync convert shop/rules.yaml > rules/shop.yaml
    """  # noqa: D301 click's \b keeps the lines
    if not files:
        raise click.UsageError("name rule files or folders")
    registry, expressions = Registry.discover(), Expressions()
    found = [*readings(load_rules(files, registry, expressions))]
    _check_direction(found, namespace)
    _check_names(found)
    problems = owned_by(namespace, found, registry, expressions)
    if problems:
        raise RuleError(problems)
    write_line(COMMENTS, err=True)
    write_line(NARROWER.format(namespace) if namespace else WIDER, err=True)
    if namespace:
        made = [one for reading in found for one in resources_of(reading, namespace)]
        write_text(_text(made))
    else:
        write_text(_text([rule_file_of(found)]))


def _check_direction(found: Sequence[Reading], namespace: str) -> None:
    """Check that all files are of one kind, and that a namespace is given where one is needed."""
    custom = {bool(reading.namespace) for reading in found if reading.rules}
    if not custom:
        raise PostsyncError("there are no rules in these files")
    if len(custom) > 1:
        raise click.UsageError("there are rule files and PostSyncRules: convert one kind at a time")
    if custom == {True} and namespace:
        raise click.UsageError("--namespace is for rule files: PostSyncRules name theirs")
    if custom == {False} and not NAMESPACE.fullmatch(namespace):
        raise click.UsageError("a rule file needs --namespace NAME: whose rules these are to be")


def _check_names(found: Sequence[Reading]) -> None:
    """Check that no two PostSyncRules have one name: they are of two namespaces, a file of none."""
    names = [rule.name.rpartition("/")[2] for reading in found for rule in reading.rules.values()]
    for name, count in Counter(names).items():
        if count > 1:
            raise PostsyncError(
                f"two of these are called {name}, and a rule file has each name once",
                hint="convert one namespace at a time",
            )


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as such, and no alias."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 the base's signature
        return True


NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?|0o[0-7]+")
"""What other parsers of YAML than PyYAML take for a number."""


def _represent(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else "'" if NUMBER.fullmatch(text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


_Dumper.add_representer(str, _represent)


def _text(documents: Sequence[Any]) -> str:
    return str(
        yaml.dump_all(documents, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    )
