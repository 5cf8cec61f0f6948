"""Parses one rule file: from a YAML document to rules, with a problem for each mistake."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from receiver.core.errors import Problem
from receiver.core.interruption import checkpoint
from receiver.core.validation import FieldError, Path, field_errors, keys_at
from receiver.core.yaml_document import Document
from receiver.rules.expressions.cel import Expressions
from receiver.rules.handlers.registry import Registry
from receiver.rules.loading.checks import check_action, check_rule
from receiver.rules.loading.defaults import merge, sections
from receiver.rules.schema.match import Strict
from receiver.rules.schema.rule_file import Defaults, FailureAction, Rule, RuleFile
from receiver.rules.tenants.bounds import ASK, Tenants
from receiver.rules.tenants.document import ResourceDocument
from receiver.rules.tenants.names import full_name
from receiver.rules.tenants.text import size_of, what_makes_it

S = TypeVar("S", bound=Strict)

FOREIGN_KEYS = {
    "on": "match.channel says on which channel, match.phases how the sync ended",
    "when": "match says when a rule applies, when in an action on which state of earlier waves",
    "labels": "match.application.labels are those of the Application, those of a resource stand "
    "in match.resources",
    "annotations": "those of a resource stand in match.resources",
}
"""Keys that people know from elsewhere, and what says the same here."""
HOMES: Mapping[str, Path] = {
    "the rule itself": (),
    "match": ("match",),
    "match.application": ("match", "application"),
    "match.resources": ("match", "resources", 0),
    "debounce": ("debounce",),
    "debounce.until": ("debounce", "until"),
    "throttle": ("throttle",),
    "waitFor": ("waitFor",),
    "limits": ("limits",),
    "actions": ("actions", 0),
}
"""The parts of a rule that have keys, where one may stand that was written elsewhere."""


class Reading:
    """A parsed document; ``rules`` are those of the right shape, merged with defaults, by index."""

    def __init__(self, document: Document, namespace: str | None = None) -> None:
        """Parse a document; ``namespace`` says whose the rules are, if not whose it says.

        "" is the operator's.
        """
        self.document = document
        self.rules: dict[int, Rule] = {}
        self._defaults = Defaults()
        own = document.namespace if isinstance(document, ResourceDocument) else ""
        self.namespace = own if namespace is None else namespace
        self._reported = set(document.problems)
        if document.data is not None and () not in document.unread:
            self._read()

    def check(self, registry: Registry, expressions: Expressions) -> None:
        """Check handlers, parameters and expressions."""
        for place, action in self._raw_actions():
            checkpoint()
            tenant = bool(self.namespace)
            for mistake in check_action(action, registry, expressions, tenant=tenant):
                self._add_problem(place, mistake)
                if mistake.whole:
                    self.document.unread.add((*place, *mistake.path))
        for index, rule in self.rules.items():
            checkpoint()
            for mistake in check_rule(rule, expressions):
                self._add_problem(self._origin(index, mistake.path), mistake)

    def check_names(self, names: dict[str, str]) -> None:
        """Refuse names that another rule has; ``names`` maps names to places, and gets ours."""
        for index, raw in enumerate(self._raw_rules()):
            name = raw.get("name") if isinstance(raw, dict) else None
            if not isinstance(name, str):
                continue
            path: Path = ("rules", index, "name")
            name = self._full_name(name)
            line, _ = self.document.values[path]
            if name in names:
                message = f"another rule has the name {name}"
                self._add_problem(path, FieldError((), message, f"see {names[name]}"))
            names.setdefault(name, f"{self.document.file}:{line}")

    def beyond(self, tenants: Tenants, registry: Registry) -> Iterator[Problem]:
        """Yield what a PostSyncRule has beyond the bounds of its namespace."""
        document = self.document
        if not isinstance(document, ResourceDocument):
            return
        if not self.namespace or not self.rules:  # which is a problem already
            return
        size = size_of(what_makes_it(document.item)) if document.written else 0
        if refusal := tenants.too_large(self.namespace, size):
            yield document.problem(("rules", 0), refusal, ASK)
        for index, rule in self.rules.items():
            for mistake in tenants.check(rule, self.namespace, registry):
                path = ("rules", index, *mistake.path)
                if not self._is_unread(path):
                    yield document.problem(path, mistake.message, mistake.hint)

    def places(self) -> Iterator[tuple[str, int]]:
        """Yield the file and the line of each rule."""
        for index in self.rules:
            yield self.document.file, self.document.problem(("rules", index), "").line

    def actions(self) -> Iterator[tuple[Path, Rule, FailureAction]]:
        """Yield each action with its place and its rule; what many rules share, once."""
        seen: set[Path] = set()
        for index, rule in self.rules.items():
            for section, number, action in sections(rule):
                path = (*self._origin(index, (section,)), section, number)
                if path not in seen:
                    seen.add(path)
                    yield path, rule, action

    def _read(self) -> None:
        data = self.document.data
        raw_rules = self._raw_rules()
        whole = data | {"rules": []} if raw_rules else data
        file = self._shape(RuleFile, whole)
        if file is not None:
            self._defaults = file.defaults
        for index, raw in enumerate(raw_rules):
            rule = self._shape(Rule, raw, ("rules", index))
            if rule is not None:
                named = rule.model_copy(update={"name": self._full_name(rule.name)})
                self.rules[index] = merge(named, self._defaults)

    def _full_name(self, name: str) -> str:
        return full_name(self.namespace, name) if self.namespace else name

    def _shape(self, model: type[S], raw: Any, place: Path = ()) -> S | None:
        try:
            return model.model_validate(raw, by_alias=True, by_name=False)
        except ValidationError as error:
            for mistake in field_errors(error, model, raw):
                self._add_problem(place, with_key_hint(mistake, model))
        return None

    def _raw_rules(self) -> list[Any]:
        data = self.document.data
        rules = data.get("rules") if isinstance(data, dict) else None
        return rules if isinstance(rules, list) else []

    def _raw_actions(self) -> Iterator[tuple[Path, dict[str, Any]]]:
        data = self.document.data
        defaults = data.get("defaults") if isinstance(data, dict) else None
        owners: list[tuple[Path, Any]] = [(("defaults",), defaults)]
        owners += [(("rules", index), raw) for index, raw in enumerate(self._raw_rules())]
        for place, owner in owners:
            for section in ("actions", "finally", "onFailure"):
                actions = owner.get(section) if isinstance(owner, dict) else None
                for index, action in enumerate(actions if isinstance(actions, list) else []):
                    if isinstance(action, dict):
                        yield (*place, section, index), action

    def _origin(self, index: int, path: Path) -> Path:
        """Return where it is written: in the rule, or in the defaults of the file."""
        own: Path = ("rules", index)
        merged = path[0] in {"finally", "onFailure", "concurrency"}
        return ("defaults",) if merged and (*own, path[0]) not in self.document.values else own

    def _add_problem(self, place: Path, mistake: FieldError) -> None:
        path = (*place, *mistake.path)
        if self._is_unread(path):
            return
        problem = self.document.problem(path, mistake.message, mistake.hint, mistake.column)
        if problem not in self._reported:  # defaults are merged into many rules
            self._reported.add(problem)
            self.document.problems.append(problem)

    def _is_unread(self, path: Path) -> bool:
        """Whether there is a problem already with what is at a path, or above it."""
        return any(path[:end] in self.document.unread for end in range(len(path) + 1))


def with_key_hint(mistake: FieldError, model: type[BaseModel]) -> FieldError:
    """Add a hint to an unknown key without one: what it is called here, and the known keys.

    The hint for a file that is no mapping, mostly a list of rules, is how a file begins.
    """
    if model is RuleFile and not mistake.path and not mistake.hint:
        return replace(mistake, hint="begin with `version: 1`, and write the rules below `rules:`")
    if mistake.message != "unknown key" or mistake.hint or not mistake.path:
        return mistake
    key = str(mistake.path[-1])
    known = ", ".join(sorted(keys_at(model, mistake.path[:-1])))
    hint = FOREIGN_KEYS.get(key) or _home_of(key)
    return replace(mistake, hint="; ".join(filter(None, (hint, f"there are {known}"))))


def _home_of(key: str) -> str:
    """Return where a key may stand that stands in the wrong place, "" if nowhere."""
    homes = [home for home, path in HOMES.items() if key in keys_at(Rule, path)]
    return f"{key} stands in {' or '.join(homes)}" if homes else ""
