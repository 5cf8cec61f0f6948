"""Checks of a rule that has the right shape: names, targets, parameters, expressions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from receiver.contract.durations import duration_text
from receiver.core.errors import ExpressionError, PostsyncError
from receiver.core.validation import FieldError, Path
from receiver.rules.expressions.cel import Expressions
from receiver.rules.expressions.scope import Scope
from receiver.rules.expressions.template import check_tree, parse_template
from receiver.rules.handlers.registry import Registry
from receiver.rules.handlers.secret_refs import replace_secrets
from receiver.rules.loading.defaults import sections
from receiver.rules.loading.globs import negated
from receiver.rules.loading.scopes import KEY_SCOPE, action_scope
from receiver.rules.schema.match import Strict
from receiver.rules.schema.rule_file import Action, FailureAction, Rule, Target


def check_action(
    action: Mapping[str, Any], registry: Registry, expressions: Expressions, *,
    tenant: bool = False,
) -> Iterator[FieldError]:  # fmt: skip
    """Check ``uses`` and the literal part of ``with`` of an action as it is written.

    ``tenant`` says that it is of a rule in a namespace.
    """
    uses, parameters = action.get("uses"), action.get("with", {})
    if not isinstance(uses, str) or not isinstance(parameters, dict):
        return
    try:
        handler = registry.get(uses)
    except PostsyncError as error:
        yield FieldError(("uses",), error.message, error.hint)
        return
    for found in registry.check_parameters(handler, parameters, expressions, tenant=tenant):
        yield replace(found, path=("with", *found.path))


def check_rule(rule: Rule, expressions: Expressions) -> Iterator[FieldError]:
    """Check a merged rule: names, targets and every expression."""
    yield from _check_names(rule)
    yield from _check_plans(rule)
    yield from _check_verify(rule)
    yield from _check_empty(rule)
    yield from negated(rule.match)
    condition = rule.match.condition
    if condition is not None:
        scope = Scope.condition(resource=rule.match.resources is not None)
        compile_condition = partial(expressions.compile_condition, scope=scope)
        yield from _attempt(("match", "condition"), condition, compile_condition)
    yield from _check_keys(rule, expressions)
    for section, index, action in sections(rule):
        for mistake in _check_expressions(rule, action, expressions):
            yield replace(mistake, path=(section, index, *mistake.path))


def _check_keys(rule: Rule, expressions: Expressions) -> Iterator[FieldError]:
    compile_key = partial(expressions.compile, scope=KEY_SCOPE)
    parse = partial(parse_template, compile_=compile_key)
    owners = (
        ("concurrency", rule.concurrency), ("debounce", rule.debounce), ("throttle", rule.throttle),
    )  # fmt: skip
    for name, owner in owners:
        if owner is not None:
            yield from _attempt((name, "key"), owner.key, parse)


def _check_names(rule: Rule) -> Iterator[FieldError]:
    seen: set[str] = set()
    for section, index, action in sections(rule):
        path: Path = (section, index)
        if action.name in seen:
            message = f"another action of this rule has the name {action.name}"
            yield FieldError((*path, "name"), message, "give each a name of its own")
        seen.add(action.name)
        if (
            isinstance(action, Action)
            and rule.match.resources is None
            and action.target is not Target.APPLICATION
        ):
            message = f"target {action.target} needs match.resources"
            yield FieldError((*path, "target"), message, "use target application")


def _check_expressions(
    rule: Rule, action: FailureAction, expressions: Expressions
) -> Iterator[FieldError]:
    scope = action_scope(rule, action)
    if action.if_ is not None:
        compile_condition = partial(expressions.compile_condition, scope=scope)
        yield from _attempt(("if",), action.if_, compile_condition)
    literal = replace_secrets(action.with_, lambda _path, _value: None)
    for path, error in check_tree(literal, partial(expressions.compile, scope=scope)):
        yield FieldError(("with", *path), error.message, error.hint, column=error.column)


def _attempt(path: Path, text: str, compile_: Callable[[str], object]) -> Iterator[FieldError]:
    try:
        compile_(text)
    except ExpressionError as error:
        yield FieldError(path, error.message, error.hint, column=error.column)


def _check_verify(rule: Rule) -> Iterator[FieldError]:
    if rule.verify != "never":
        return
    for number, selector in enumerate(rule.match.resources or ()):
        for key in selector.live_keys:
            message = f"only the live object has {key}, and verify: never reads none"
            hint = "use verify: auto for this rule"
            yield FieldError(("match", "resources", number, key), message, hint)


def _check_empty(rule: Rule) -> Iterator[FieldError]:
    """Refuse labels and annotations that are given and name none: they would match everything."""
    parts: list[tuple[Path, Strict]] = [(("match", "application"), rule.match.application)]
    for number, selector in enumerate(rule.match.resources or ()):
        parts.append((("match", "resources", number), selector))
    if rule.debounce is not None and rule.debounce.until is not None:
        parts.append((("debounce", "until", "applications"), rule.debounce.until.applications))
    for place, part in parts:
        without = getattr(part, "not_", None)
        if without is not None and not without.model_fields_set:
            yield FieldError((*place, "not"), "names none", "give one, or leave it out")
        for key in ("labels", "annotations"):
            if key in part.model_fields_set and not getattr(part, key):
                yield FieldError((*place, key), "names none", "give one, or leave it out")


def _check_plans(rule: Rule) -> Iterator[FieldError]:
    """Check ``limits``, ``debounce``, ``throttle`` and ``onNewer`` of a merged rule."""
    yield from _check_limits(rule)
    yield from _check_debounce(rule)
    if rule.throttle is not None and rule.debounce is not None:
        message = "debounce and throttle cannot be together: each says when a plan begins"
        yield FieldError(("throttle",), message, "leave one out")
    if rule.on_newer == "queue" and rule.concurrency is not None:
        yield FieldError(
            ("onNewer",),
            "queue and concurrency cannot be together: each says what a plan waits for",
            "leave one out; concurrency.key: ${{ application.name }} with limit 1 is a queue too",
        )


def _check_limits(rule: Rule) -> Iterator[FieldError]:
    if rule.limits is None:
        return
    if rule.match.resources is None:
        message = "needs match.resources: without it a plan has no resources to count"
        yield FieldError(("limits", "maxTargets"), message)
    elif rule.limits.otherwise == "batch" and not any(
        action.target is Target.RESOURCE for action in rule.actions
    ):
        message = "batch needs an action with target resource: nothing else can be taken in parts"
        yield FieldError(("limits", "otherwise"), message, "use hold")


def _check_debounce(rule: Rule) -> Iterator[FieldError]:
    debounce = rule.debounce
    if debounce is None:
        return
    if debounce.until is not None and not debounce.key:
        message = "needs a key: without one a plan collects the syncs of one application"
        hint = "a commit for several applications has the key ${{ sync.revision }}"
        yield FieldError(("debounce", "until"), message, hint)
    if debounce.until is not None and not debounce.until.applications.model_fields_set:
        message = "names none: give one of name, namespace, project, applicationSet and labels"
        yield FieldError(("debounce", "until", "applications"), message)
    if debounce.max_wait < debounce.window:
        longest, window = duration_text(debounce.max_wait), duration_text(debounce.window)
        message = f"{longest} is shorter than the window of {window}"
        yield FieldError(("debounce", "maxWait"), message, "make it as long, or longer")
