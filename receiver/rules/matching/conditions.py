"""Tests a rule's conditions: one that fails is told, and is no match."""

from __future__ import annotations

from dataclasses import dataclass

from receiver.core.errors import ExpressionError
from receiver.rules.matching.compiled import Condition, Facts
from receiver.rules.tenants.shares import charge


@dataclass(frozen=True, slots=True)
class ConditionError:
    """A condition that failed: on a resource (its index), or on the sync (None)."""

    resource: int | None
    message: str


def holds(
    condition: Condition | None, facts: Facts, resource: int | None, errors: list[ConditionError]
) -> bool:
    """Whether the condition, if there is one, is true; if it fails, that is added to ``errors``."""
    try:
        return condition is None or condition.test(facts, resource)
    except ExpressionError as error:
        errors.append(ConditionError(resource, str(error)))
        charge(len(errors[-1].message))
        return False
