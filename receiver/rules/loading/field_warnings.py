"""Warnings of `fields` and of `resource.fields` that most likely mean no field that there is."""

from __future__ import annotations

import re
from collections.abc import Iterator

from receiver.core.validation import Path as Place
from receiver.kubernetes.field_paths import parse_path
from receiver.rules.expressions.template import sources, strings
from receiver.rules.loading.defaults import sections
from receiver.rules.matching.questions import paths_of
from receiver.rules.schema.match import ResourceMatch
from receiver.rules.schema.rule_file import Rule

Warned = tuple[Place, str, str]
"""Where, below the rule, what, and the way out."""

DATA = {"ConfigMap": frozenset({"data", "binaryData"}), "Secret": frozenset({"data"})}
"""The fields of these kinds whose values are texts, by their names."""

ANY_OBJECT = frozenset({"apiVersion", "kind", "metadata", "immutable", "type"})
"""The other fields that one of these may have."""

NAMED = re.compile(
    r"""(?<![\w.)\]])(?P<root>[A-Za-z_]\w*)\.fields
    (?:\[\s*(?P<quote>["'])(?P<path>(?:\\.|(?!(?P=quote)).)*)(?P=quote)\s*\]|\.(?P<name>\w+))""",
    re.VERBOSE,
)
"""A field that an expression names: ``resource.fields['data.a']``, ``r.fields["data.a"]``."""


def field_warnings(rule: Rule) -> Iterator[Warned]:
    """Yield a warning for each path that no object has, or that no selector asks for."""
    for number, selector in enumerate(rule.match.resources or ()):
        place: Place = ("match", "resources", number)
        if selector.fields and {*selector.change} == {"unchanged"}:
            message = "selects what did not change, and fields what did"
            yield (*place, "change"), message, "leave change out"
        for path in selector.fields or ():
            for message, hint in _of_data(selector, path):
                yield (*place, "fields"), message, hint
    asked = paths_of(rule)
    for place, source in _expressions(rule):
        for message, hint in _unasked(source, asked):
            yield place, message, hint


def _of_data(selector: ResourceMatch, path: str) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a path into a ConfigMap or a Secret."""
    kinds = {*(selector.kind or ("",))}
    if not kinds <= DATA.keys() or selector.group not in {None, ("",)}:
        return
    kind, texts = "/".join(sorted(kinds)), frozenset().union(*(DATA[one] for one in kinds))
    first, *rest = parse_path(path)
    if first in texts and len(rest) > 1:
        key = ".".join(map(str, rest))
        message = f"{path}: the values in {first} are texts, which have nothing below them"
        yield message, "" if "[" in path else f'write {first}["{key}"]'
    elif first not in texts | ANY_OBJECT:
        yield f"{path}: a {kind} has no {first}", f"it has {', '.join(sorted(texts))} and metadata"


def _expressions(rule: Rule) -> Iterator[tuple[Place, str]]:
    if rule.match.condition is not None:
        yield ("match", "condition"), rule.match.condition
    for section, number, action in sections(rule):
        if action.if_ is not None:
            yield (section, number, "if"), action.if_
        for path, text in strings(action.with_):
            yield from (((section, number, "with", *path), source) for source in sources(text))


def _unasked(source: str, asked: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Yield which fields an expression names that no selector asks for."""
    for found in NAMED.finditer(source):
        there = f"{found['root']}.fields"
        if found["name"]:
            if found["root"] == "resource":
                hint = f"as in {there}['{min(asked, default='data.a')}'].changed"
                yield f"{there}.{found['name']}: a field is named by its path in brackets", hint
            continue
        path = re.sub(r"\\(.)", r"\1", found["path"])
        if path not in asked:
            have = f"asked for: {', '.join(sorted(asked))}" if asked else "name it in fields"
            yield f"{there} has no {path}: no selector of this rule asks for it", have
