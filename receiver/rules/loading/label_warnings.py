"""Warnings of labels and annotations that no object can have, by the syntax of Kubernetes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from receiver.core.validation import Path as Place
from receiver.rules.schema.match import Globs
from receiver.rules.schema.rule_file import Rule

Warned = tuple[Place, str, str]
"""Where, below the rule, what, and the way out."""

WORD = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
PART = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?"
NAME = re.compile(rf"((?=.{{1,253}}/){PART}(\.{PART})*/)?{WORD}")
"""A label's or an annotation's: a domain and a slash may stand before it."""

VALUE = re.compile(rf"({WORD})?")
GLOB = re.compile(r".*[*?\[]", re.DOTALL)
OTHERS = re.compile(r"^[!^]|[$\\(|]")
"""What looks like a negation or a regular expression, of which `warnings` tells."""

NEITHER = re.compile(r"[^A-Za-z0-9._*?\[\]!-]")
"""What neither a label's value nor a glob of one has."""

SYNTAX = "a name is like tier or app.kubernetes.io/name"
NO_GLOB = f"{SYNTAX}; only the values are globs"


def label_warnings(rule: Rule) -> Iterator[Warned]:
    """Yield a warning for each name that Kubernetes does not allow, and for each label's value."""
    for place, wanted in _wanted(rule):
        for name, values in wanted.items():
            kind = str(place[-1]).removesuffix("s")
            if not NAME.fullmatch(name):
                message = f"{name!r} is no name of {'an' if kind[0] == 'a' else 'a'} {kind}"
                yield (*place, name), message, NO_GLOB if GLOB.match(name) else SYNTAX
            for number, value in enumerate(values if kind == "label" else ()):
                if not _may_be_value(value):
                    message = f"{value!r} is no value of a label, so no object has it"
                    yield (*place, name, number), message, "letters, digits, and . _ - within"


def _may_be_value(glob: str) -> bool:
    if OTHERS.search(glob):
        return True
    return not NEITHER.search(glob) if GLOB.match(glob) else bool(VALUE.fullmatch(glob))


def _wanted(rule: Rule) -> Iterator[tuple[Place, Mapping[str, Globs]]]:
    yield ("match", "application", "labels"), rule.match.application.labels
    for number, selector in enumerate(rule.match.resources or ()):
        place: Place = ("match", "resources", number)
        yield (*place, "labels"), selector.labels
        yield (*place, "annotations"), selector.annotations
    if rule.debounce is not None and rule.debounce.until is not None:
        awaited = rule.debounce.until.applications
        yield ("debounce", "until", "applications", "labels"), awaited.labels
