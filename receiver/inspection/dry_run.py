"""Dry runs: asks the services of a rule set whether they would accept what its actions send."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from receiver.contract import PLACEHOLDER, Call, Finding, Handler
from receiver.core.errors import PostsyncError, Problem
from receiver.core.model import new_id
from receiver.core.validation import Path
from receiver.outbound import Outbound
from receiver.outbound.secret_masking import Masker
from receiver.rules.expressions.cel import Expressions, Program
from receiver.rules.expressions.scope import Scope
from receiver.rules.expressions.template import Template, parse_template
from receiver.rules.handlers.registry import Registry
from receiver.rules.handlers.secret_refs import put_values, split_secrets
from receiver.rules.loading.load import RuleSet, readings
from receiver.rules.loading.scopes import action_scope
from receiver.rules.matching.predicates import SPECIAL
from receiver.rules.schema.rule_file import FailureAction, Rule
from receiver.settings.secrets import Secrets

PLAUSIBLE: Mapping[str, Any] = {"BOOL": True, "INT": 1, "UINT": 1, "DOUBLE": 1.0}
"""A value by CEL's type of an expression; for any other type it is a text."""


@dataclass(slots=True)
class DryRunResult:
    """How many actions were tried, what is wrong, and what could not be found out."""

    tried: int = 0
    problems: list[Problem] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class DryRun:
    """Runs those actions dry whose handlers offer it."""

    registry: Registry
    expressions: Expressions
    secrets: Secrets
    outbound: Outbound

    def run(self, found: RuleSet) -> DryRunResult:
        """Try every action of a set that is valid; nothing is changed anywhere."""
        result = DryRunResult()
        for reading in readings(found):
            for path, rule, action in reading.actions():
                handler = self.registry.get(action.uses)
                if handler.dry_run is None:
                    continue
                result.tried += 1
                known = _known(rule)
                for one in self._try(handler, action, action_scope(rule, action), known):
                    place: Path = (*path, "with", *one.path)
                    problem = reading.document.problem(place, one.message, one.hint)
                    (result.problems if one.certain else result.notes).append(problem)
        return result

    def _try(
        self, handler: Handler[Any], action: FailureAction, scope: Scope, known: Mapping[str, str]
    ) -> Sequence[Finding]:
        parameters, refs = split_secrets(action.with_)
        tree = _filled(parameters, partial(self.expressions.compile, scope=scope), known)
        masker = Masker(())
        try:
            values = {}
            for place, ref in refs.items():
                value = self.secrets.resolve(ref)
                values[place] = ref.apply(value)
                masker.add_secret(value)
                masker.add_secret(values[place])
            given = self.registry.build(handler, put_values(tree, values))
        except PostsyncError as error:
            return [Finding((), f"not tried: {error.message}", error.hint, certain=False)]
        found = self._ask(handler, given, self._call(action.timeout, masker))
        return [_masked(one, masker) for one in found]

    def _ask(self, handler: Handler[Any], given: Any, call: Call) -> Sequence[Finding]:
        try:
            return handler.dry_run(given, call) if handler.dry_run else ()
        except PostsyncError as error:
            return [Finding((), error.message, error.hint)]
        except Exception as error:  # noqa: BLE001 a bug of the handler's; its traceback may hold a secret
            return [Finding((), f"handler {handler.name} broke off with {type(error).__name__}")]

    def _call(self, timeout: float, masker: Masker) -> Call:
        run = new_id("r")
        return Call(
            run=run, idempotency_key=f"{run}.1", attempt=1, state=None, timeout=timeout,
            now=datetime.now(UTC), http=self.outbound.http(time.monotonic() + timeout, masker),
            evaluate=self._not_now, say=lambda _line: None,
            hide=masker.add_secret, mask=masker.mask,
        )  # fmt: skip

    def _not_now(self, _source: str, _values: Mapping[str, Any]) -> Any:
        raise PostsyncError("expressions over answers are not evaluated in a dry run")


def _known(rule: Rule) -> Mapping[str, str]:
    """Return values that expressions of a rule are sure to give, since all selectors name them."""
    selectors = rule.match.resources or ()
    namespaces = {selector.namespace for selector in selectors}
    only = next(iter(namespaces)) if len(namespaces) == 1 else None
    if only is None or len(only) != 1 or SPECIAL.search(only[0]):
        return {}
    return {"resource.namespace": only[0]}


def _masked(found: Finding, masker: Masker) -> Finding:
    path = tuple(masker.mask(part) if isinstance(part, str) else part for part in found.path)
    return replace(
        found, path=path, message=masker.mask(found.message), hint=masker.mask(found.hint)
    )


def _filled(tree: Any, compile_: Any, known: Mapping[str, str]) -> Any:
    """Return the parameters with something plausible for each expression."""
    if isinstance(tree, dict):
        return {key: _filled(item, compile_, known) for key, item in tree.items()}
    if isinstance(tree, list):
        return [_filled(item, compile_, known) for item in tree]
    if not isinstance(tree, str):
        return tree
    template = parse_template(tree, compile_)
    return template if isinstance(template, str) else _plausible(template, known)


def _plausible(template: Template, known: Mapping[str, str]) -> Any:
    first = template.parts[0]
    if template.whole and isinstance(first, Program):
        if first.kind.startswith(("LIST", "MAP")):
            return [] if first.kind.startswith("LIST") else {}
        return PLAUSIBLE.get(first.kind, _text(first, known))
    return "".join(part if isinstance(part, str) else _text(part, known) for part in template.parts)


def _text(program: Program, known: Mapping[str, str]) -> str:
    return known.get(program.source.strip(), PLACEHOLDER)
