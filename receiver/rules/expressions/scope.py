"""Which names an expression may use where it stands, and what type each has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from receiver.core.errors import ExpressionError
from receiver.core.validation import did_you_mean
from receiver.rules.expressions.facts import (
    APPLICATION,
    DESTINATION,
    HELD,
    RESOURCE,
    SYNC,
    types_of,
)

FAILURE = {"message": "string", "rule": "string", "action": "string", "resource": "any"}
ONE_RUN = {"state": "string", "output": "any", "reason": "string", "target": "string"}
ALL_RUNS = {"succeeded": "bool", "failed": "bool", "runs": "list"}
ROOTS: Mapping[str, Mapping[str, str]] = {
    "application": types_of(APPLICATION) | types_of(DESTINATION, "destination."),
    "sync": types_of(SYNC) | types_of(HELD, "held."),
    "resource": types_of(RESOURCE),
    "failure": FAILURE,
}
WHERE = {
    "resource": "it is in actions with target resource, and in conditions of rules with "
    "match.resources",
    "resources": "it is in actions with target batch or application",
    "syncs": "it is in actions and onFailure",
    "failure": "it is in onFailure",
    "actions": "it is in actions and onFailure",
}


@dataclass(frozen=True, slots=True)
class Earlier:
    """An action of an earlier wave; ``one_run`` if it has a single run in this scope."""

    name: str
    one_run: bool = True


@dataclass(frozen=True, slots=True)
class Scope:
    """What is bound where an expression stands.

    Attributes:
        roots: names that are bound; a name that is not in `ROOTS` is of any type.
        earlier: what ``actions.NAME`` may name, if ``actions`` is among the roots.
        wave: that of the action in which the expression stands.
        later: the other actions of the rule with their waves, for the message.
    """

    roots: tuple[str, ...] = ("application", "sync")
    earlier: tuple[Earlier, ...] = ()
    wave: int = 0
    later: tuple[tuple[str, int], ...] = ()

    @classmethod
    def condition(cls, *, resource: bool) -> Scope:
        """Return the scope of ``match.condition``, with ``resource`` if the rule selects any."""
        return cls(("application", "sync", "resource") if resource else ("application", "sync"))

    @property
    def names(self) -> tuple[tuple[str, str], ...]:
        """Every qualified name that may be used, with its type."""
        return tuple(self._names())

    def _names(self) -> Iterator[tuple[str, str]]:
        for root in self.roots:
            if root in ROOTS:
                yield from ((f"{root}.{field}", kind) for field, kind in ROOTS[root].items())
            elif root in {"resources", "syncs"}:
                yield root, "list"
            elif root != "actions":
                yield root, "any"
        for action in self.earlier:
            fields = ONE_RUN | ALL_RUNS if action.one_run else ALL_RUNS
            if "-" in action.name:
                continue  # CEL has no such name: `refuse_quoted` checks it
            yield from ((f"actions.{action.name}.{field}", kind) for field, kind in fields.items())

    def refuse(self, name: str) -> ExpressionError | None:
        """Return why ``name`` cannot be used here, or None if it is a whole that is bound.

        ``sync`` and ``application.destination`` are such wholes: their fields are declared,
        they themselves are not.
        """
        root, *rest = name.split(".")
        known = [declared for declared, _ in self.names]
        if any(declared.startswith(f"{name}.") for declared in known) or name in self.roots:
            return None
        if root == "actions" and root in self.roots and rest:
            return self._refuse_action(rest[0], rest[1] if len(rest) > 1 else "")
        if root in self.roots:
            field, fields = ".".join(rest), [word.removeprefix(f"{root}.") for word in known]
            return ExpressionError(f"{root} has no field {field}", hint=did_you_mean(field, fields))
        if root in WHERE:
            return ExpressionError(f"{root} is not available here", hint=WHERE[root])
        return ExpressionError(f"unknown name {name}", hint=did_you_mean(root, [*self.roots]))

    def refuse_quoted(self, action: str, field: str) -> ExpressionError | None:
        """Return why ``actions['ACTION'].FIELD`` cannot be used here, or None if it can.

        ``field`` is "" where none follows.
        """
        earlier = {item.name: item for item in self.earlier}
        found = earlier.get(action)
        if "actions" not in self.roots:
            return None  # which is refused anyhow
        if found and field in ({"", *ALL_RUNS, *ONE_RUN} if found.one_run else {"", *ALL_RUNS}):
            return None
        return self._refuse_action(action, field)

    def _refuse_action(self, action: str, field: str) -> ExpressionError:
        waves = dict(self.later)
        if action in waves:
            return ExpressionError(
                f"action {action} is in wave {waves[action]}, which is not before wave "
                f"{self.wave}; only earlier waves have outputs"
            )
        earlier = {item.name: item for item in self.earlier}
        if action not in earlier:
            dashed = [name for name in earlier if name.startswith(f"{action}-")]
            hint = f"write {_written(dashed[0])}" if dashed else did_you_mean(action, [*earlier])
            return ExpressionError(f"no action {action} in an earlier wave", hint=hint)
        if field in ONE_RUN:
            return ExpressionError(
                f"action {action} has one run for each resource",
                hint=f"use {_written(action)}.runs",
            )
        fields = ONE_RUN | ALL_RUNS if earlier[action].one_run else ALL_RUNS
        return ExpressionError(
            f"{_written(action)} has no field {field}", hint=did_you_mean(field, [*fields])
        )


def _written(action: str) -> str:
    """Return how an expression names an action."""
    return f"actions['{action}']" if "-" in action else f"actions.{action}"
