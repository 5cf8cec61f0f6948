"""What of an action is the same for all of its runs, worked out once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from receiver.contract import Handler
from receiver.core.errors import ExpressionError
from receiver.core.index_key import index_key
from receiver.core.model import Json
from receiver.rules.expressions.cel import Bindings, Expressions, Program
from receiver.rules.expressions.template import Broken, parse_tree, render_tree
from receiver.rules.handlers.registry import Registry
from receiver.rules.handlers.secret_refs import split_secrets
from receiver.rules.loading.scopes import action_scope
from receiver.rules.schema.rule_file import Action, FailureAction, Rule
from receiver.rules.tenants.names import lane_of, tenant_of

KEPT = 1_000
"""Actions kept: those of some hundred rules, with their templates parsed."""


@dataclass(frozen=True, slots=True)
class PreparedAction:
    """An action of a rule, ready to be rendered.

    Attributes:
        rule: the rule.
        action: the action.
        handler: its handler.
        templates: its parameters, parsed, with null for each secret.
        secrets: the references by JSON pointer, as they are stored.
        condition: its ``if``, None if it has none.
    """

    rule: Rule
    action: FailureAction
    handler: Handler[Any]
    templates: Any
    secrets: Mapping[str, Mapping[str, str]]
    condition: Program | Broken | None

    @property
    def suspends(self) -> bool:
        """Whether its runs wait to be approved."""
        return isinstance(self.action, Action) and bool(self.action.suspend)

    def wanted(self, bindings: Bindings) -> bool:
        """Whether its ``if`` is true, if it has one.

        Raises:
            ExpressionError: it does not compile, or fails.
        """
        if self.condition is None:
            return True
        try:
            return self.condition.test(bindings)
        except ExpressionError as error:
            raise ExpressionError(f"if: {error.message}", hint=error.hint) from None

    def render(self, bindings: Bindings) -> Any:
        """Return the parameters.

        Raises:
            ExpressionError: with the path of the first that fails.
        """
        return render_tree(self.templates, bindings, self.handler.quote or str)

    def lane(self, tree: Mapping[str, Json]) -> str:
        """Return the lane of a run: the host, and the credential too if the service limits that.

        A tenant has lanes of its own, so that none can bring a limit of a service upon others.
        """
        lane = index_key(self.handler.lane(tree) or self.handler.name)
        tenant = tenant_of(self.rule.name)
        lane = lane_of(lane, tenant) if tenant else lane
        if self.handler.rate is None:
            return lane
        refs = self.secrets.values()
        named = {"/".join(filter(None, (ref["name"], ref.get("key")))) for ref in refs}
        return f"{lane} {index_key(' '.join(sorted(named)))}" if named else lane


class PreparedActions:
    """Prepares actions, and keeps those that were used last."""

    def __init__(self, expressions: Expressions, registry: Registry) -> None:
        self._expressions = expressions
        self._registry = registry
        self._kept: dict[int, PreparedAction] = {}

    def get(self, rule: Rule, action: FailureAction) -> PreparedAction:
        """Return an action of a rule, prepared.

        Raises:
            PostsyncError: its handler cannot be used, or a reference to a secret.
        """
        kept = self._kept.get(id(action))
        if kept is not None and kept.action is action and kept.rule is rule:
            return kept
        made = self._prepare(rule, action)
        while len(self._kept) >= KEPT:
            self._kept.pop(next(iter(self._kept)))
        self._kept[id(action)] = made
        return made

    def _prepare(self, rule: Rule, action: FailureAction) -> PreparedAction:
        parameters, secrets = split_secrets(action.with_)
        handler, scope = self._registry.get(action.uses), action_scope(rule, action)
        compile_here = partial(self._expressions.compile, scope=scope)
        stored = {place: ref.stored for place, ref in secrets.items()}
        condition: Program | Broken | None = None
        if action.if_ is not None:
            try:
                condition = compile_here(action.if_)
            except ExpressionError as error:
                condition = Broken.of(error)
        templates = parse_tree(parameters, compile_here)
        return PreparedAction(rule, action, handler, templates, stored, condition)
