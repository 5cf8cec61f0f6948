"""Compiles and evaluates CEL, by cel-expr-python, the CEL project's C++ runtime.

An expression is compiled twice. The strict environment declares every field with its type
under its qualified name (``sync.dryRun``), so that a typo or a wrong comparison is found by
`check`; but it has no whole values. The lax one declares the roots as of any type, allows
``${{ sync }}``, and is the one that evaluates.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from cel_expr_python import cel
from cel_expr_python.ext import ext_optional, ext_strings

from receiver.core import interruption
from receiver.core.errors import ExpressionError
from receiver.core.model import Json, rfc3339
from receiver.core.validation import did_you_mean
from receiver.rules.expressions.asking import ASKED, raise_stopped
from receiver.rules.expressions.bounds import FEWER, TOO_MUCH, SizeBudget, bounded_memory
from receiver.rules.expressions.cel_errors import Issue, compile_issues, plain_message
from receiver.rules.expressions.scope import Scope
from receiver.rules.expressions.steps import MATCH, with_steps

BUILT_IN_ROOTS = ("application", "sync", "syncs", "resource", "resources", "actions", "failure")
FUNCTIONS = (
    "all bool bytes contains double duration endsWith exists exists_one filter format has int "
    "join lastIndexOf lowerAscii map matches replace reverse size split startsWith string "
    "substring timestamp trim type uint upperAscii"
)
DOTTED_KEY = re.compile(
    r"((?:\w+\.)+(?:labels|annotations))\.((?:[\w-]+\.)*[\w-]+/[\w-]+(?:\.[\w-]+)*)"
)
"""A label's name that is written like a field, though it has a slash."""
QUOTED_ACTION = re.compile(
    r"""\bactions\s*\[\s*(["'])(?P<name>[\w-]+)\1\s*\](?:\s*\.\s*(?P<field>\w+))?"""
)
"""``actions['NAME'].FIELD``, as an action with a dash in its name is named."""
LONGEST = 10_000
"""Characters of one expression: far more than anybody writes by hand."""
LONGEST_MESSAGE = 1_000
"""Characters of the message of one that fails; there may be one for each resource of a sync."""
CACHED_PROGRAMS = 20_000
"""A thousand rules with a dozen expressions each; a program holds a few kilobytes."""


@dataclass(frozen=True, slots=True)
class Bindings:
    """Values for the names of expressions, converted once and used for many of them."""

    activation: Any


@dataclass(frozen=True, slots=True)
class Program:
    """An expression that compiled."""

    source: str
    compiled: Any
    kind: str
    """CEL's type of the result as far as it is known; DYN if it is not."""

    def evaluate(self, bindings: Bindings) -> Json:
        """Return the value as JSON.

        Timestamps become RFC 3339 strings, durations strings like ``30s``, bytes base64;
        maps have text keys in their order.

        Raises:
            ExpressionError: a missing key, a wrong type, too many steps, too much memory, or a
                value that is too large or that JSON cannot carry.
        """
        interruption.checkpoint()
        try:
            try:
                with bounded_memory():
                    value = self.compiled.eval(bindings.activation)
            finally:
                raise_stopped()
            if value.type() == cel.Type.ERROR:
                raise ExpressionError(_short(value.plain_value()))
            return to_json(value.value(), SizeBudget())
        except MemoryError:
            raise ExpressionError(TOO_MUCH, hint=FEWER) from None
        except RuntimeError as error:
            raise ExpressionError(_short(error)) from None
        except (TypeError, SystemError):
            # The library cannot convert these: an optional that was not unwrapped.
            raise ExpressionError(
                "the result is an optional value", hint="unwrap it with .orValue(...)"
            ) from None

    def test(self, bindings: Bindings) -> bool:
        """Return the value, which must be a boolean.

        Raises:
            ExpressionError: it is none, or cannot be evaluated.
        """
        value = self.evaluate(bindings)
        if not isinstance(value, bool):
            raise ExpressionError(f"the result is {kind_of(value)}, not true or false")
        return value


class Expressions:
    """Compiles expressions. Safe to share between threads."""

    def __init__(self) -> None:
        # Extensions are bound to nothing and may be shared by environments.
        self._extensions = [ext_strings.ExtStrings(), ext_optional.ExtOptional()]
        self._kinds = {
            "any": cel.Type.DYN,
            "bool": cel.Type.BOOL,
            "int": cel.Type.INT,
            "string": cel.Type.STRING,
            "strings": cel.Type.List(cel.Type.STRING),
            "list": cel.Type.List(cel.Type.DYN),
            "map": cel.Type.Map(cel.Type.STRING, cel.Type.STRING),
        }
        self._environment = lru_cache(maxsize=1_000)(self._make_environment)
        self._compiled = lru_cache(maxsize=CACHED_PROGRAMS)(self._compile)

    def bind(self, values: Mapping[str, Json]) -> Bindings:
        """Return ``values`` (name to JSON value, lists and not tuples) ready for programs."""
        return Bindings(self._environment(()).Activation(dict(values)))

    def compile(self, source: str, scope: Scope) -> Program:
        """Compile and check one expression.

        Raises:
            ExpressionError: with the column in ``source``, and a suggestion if there is one.
        """
        return self._compiled(source, scope)

    def compile_condition(self, source: str, scope: Scope) -> Program:
        """Compile an expression whose result has to be true or false.

        Raises:
            ExpressionError: as `compile`, and if the result can be nothing of the kind.
        """
        if "${{" in source:
            raise ExpressionError("the whole string is an expression", hint="leave out ${{ }}")
        program = self.compile(source, scope)
        if program.kind not in {"BOOL", "DYN"}:
            kind = program.kind.lower()
            raise ExpressionError(f"the result is of type {kind}, not true or false", column=1)
        return program

    def _compile(self, source: str, scope: Scope) -> Program:
        if not source.strip():
            raise ExpressionError("the expression is empty", column=1)
        if len(source) > LONGEST:
            raise ExpressionError(f"the expression is longer than {LONGEST} characters")
        kind = self._check(source, scope)
        roots = tuple((root, "any") for root in dict.fromkeys((*BUILT_IN_ROOTS, *scope.roots)))
        try:
            environment = self._environment(roots)
            compiled = environment.compile(source)
        except RuntimeError as error:
            raise _first_issue(str(error), source) from None
        if (stepwise := with_steps(compiled.serialize())) is not None:
            try:
                compiled = environment.deserialize(stepwise)
            except RuntimeError:
                raise ExpressionError("too many loops stand in one another") from None
        return Program(source, compiled, kind)

    def _check(self, source: str, scope: Scope) -> str:
        for found in QUOTED_ACTION.finditer(source):
            if refusal := scope.refuse_quoted(found["name"], found["field"] or ""):
                refusal.column = found.start() + 1
                raise refusal
        try:
            return str(self._environment(scope.names).compile(source).return_type().name())
        except RuntimeError as error:
            for issue in compile_issues(str(error), source):
                refusal = _refusal(issue, source, scope)
                if refusal:
                    raise refusal from None
        return "DYN"  # it takes a whole, whose fields' types are not known

    def _make_environment(self, names: tuple[tuple[str, str], ...]) -> Any:
        variables = {name: self._kinds[kind] for name, kind in names}
        return cel.NewEnv(variables=variables, extensions=self._extensions, functions=ASKED)


def _refusal(issue: Issue, source: str, scope: Scope) -> ExpressionError | None:
    hint = _dotted_key(source, issue.column)
    if not issue.name:
        return ExpressionError(issue.message, hint=hint, column=issue.column)
    if source[issue.column - 1 : issue.column] == "(":
        hint = did_you_mean(issue.name, FUNCTIONS.split())
        return ExpressionError(f"unknown function {issue.name}", hint=hint, column=issue.column)
    refusal = scope.refuse(issue.name)
    if refusal:
        refusal.column = issue.column
        refusal.hint = hint or refusal.hint
    return refusal


def _dotted_key(source: str, column: int) -> str:
    """Return how a key such as ``app.kubernetes.io/name`` is written, if that is what is there.

    Written after a dot, its slash divides.
    """
    for found in DOTTED_KEY.finditer(source):
        if found.start() < column <= found.end():
            return f"write {found[1]}['{found[2]}']"
    return ""


def _first_issue(text: str, source: str) -> ExpressionError:
    for issue in compile_issues(text, source):
        return ExpressionError(issue.message, column=issue.column)
    return ExpressionError(plain_message(text))


def to_json(value: Any, budget: SizeBudget) -> Json:
    """Turn what the library returns into JSON; a map's keys become text, in their order.

    A level at a time: the library itself turns a whole tree at once, however large it is.

    Raises:
        ExpressionError: a number that JSON cannot carry, or more than there is budget for.
    """
    budget.take_value(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ExpressionError(f"the result is {value}, which JSON cannot carry")
    if isinstance(value, Mapping):
        pairs = {_key(key): to_json(item.value(), budget) for key, item in value.items()}
        return dict(sorted(pairs.items()))
    if isinstance(value, list):
        return [to_json(item.value(), budget) for item in value]
    return value if value is None or isinstance(value, bool | int | float) else _as_text(value)


def _short(error: object) -> str:
    """Return what the library says of a failure: it may name a value, however long."""
    return plain_message(str(error)[:LONGEST_MESSAGE].replace(MATCH, "matches"))


def _as_text(value: object) -> str:
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, timedelta):
        return f"{value.total_seconds():.6f}".rstrip("0").rstrip(".") + "s"
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode()
    return str(value)


def _key(key: object) -> str:
    return str(key).lower() if isinstance(key, bool) else str(key)


def kind_of(value: Json) -> str:
    """Name the type of a value as users know it."""
    if value is None:
        return "null"
    names = {bool: "a boolean", str: "a string", list: "a list", dict: "a map"}
    return names.get(type(value), "a number")
