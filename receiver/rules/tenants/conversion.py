"""A rule file becomes PostSyncRules of one namespace, and PostSyncRules become a rule file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from receiver.core.errors import Problem
from receiver.rules.expressions.cel import Expressions
from receiver.rules.handlers.registry import Registry
from receiver.rules.loading.defaults import FROM_DEFAULTS
from receiver.rules.loading.parser import Reading
from receiver.rules.schema.rule_file import Defaults
from receiver.rules.tenants.names import API_VERSION, KIND

SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
BUILT_IN = Defaults()
MERGED = {Defaults.model_fields[name].alias or name: name for name in FROM_DEFAULTS}
"""The keys of `defaults` that are taken whole, with their names in the model."""


def owned_by(
    namespace: str, readings: Iterable[Reading], registry: Registry, expressions: Expressions
) -> list[Problem]:
    """Return what keeps rules from being a namespace's, or the operator's if that is ""."""
    problems: list[Problem] = []
    for reading in readings:
        other = Reading(reading.document, namespace)
        other.check(registry, expressions)
        problems += other.document.problems
        problems += _of_names(other) if namespace else ()
    return problems


def resources_of(reading: Reading, namespace: str) -> Iterator[dict[str, Any]]:
    """Yield each rule of a file as a PostSyncRule, with what its defaults make different."""
    data = reading.document.data
    defaults = data.get("defaults") or {}
    for rule in data["rules"]:
        spec = {key: value for key, value in rule.items() if key != "name"}
        yield {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {"name": rule["name"], "namespace": namespace},
            "spec": _with_defaults(spec, defaults),
        }


def rule_file_of(readings: Iterable[Reading]) -> dict[str, Any]:
    """Return the rule file of some PostSyncRules."""
    found = (rule for reading in readings for rule in reading.document.data["rules"])
    return {"version": 1, "rules": [{"name": rule["name"]} | rule for rule in found]}


def _with_defaults(spec: dict[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return a spec with the defaults of its file that are not the built-in ones."""
    given = Defaults.model_validate(defaults, by_alias=True, by_name=False)
    added = {
        key: defaults[key]
        for key, name in MERGED.items()
        if key in defaults and key not in spec and getattr(given, name) != getattr(BUILT_IN, name)
    }
    if "deadline" in defaults and "deadline" not in spec:  # without one, retry decides
        added["deadline"] = defaults["deadline"]
    retry = {
        key: value
        for key, value in defaults.get("retry", {}).items()
        if key not in spec.get("retry", {})
    }
    if retry and given.retry != BUILT_IN.retry:
        added["retry"] = retry | spec.get("retry", {})
    return spec | added


def _of_names(reading: Reading) -> Iterator[Problem]:
    """Yield the names that a rule may have, and no object of Kubernetes."""
    for index, rule in enumerate(reading.document.data["rules"]):
        if not SUBDOMAIN.fullmatch(rule["name"]):
            message = "is no name of an object in Kubernetes: each part between dots begins and "
            message += "ends with a letter or a digit"
            yield reading.document.problem(("rules", index, "name"), message)
