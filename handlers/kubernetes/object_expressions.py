"""Evaluates CEL over an object, for `kubernetes.read` and `kubernetes.wait`."""

from __future__ import annotations

from typing import Any

from pydantic import model_validator

from handlers.kubernetes.objects import OnObject
from receiver.contract import Call, PermanentError, wrong_shape
from receiver.core.errors import ExpressionError
from receiver.kubernetes.objects import Object

CEL_NAME = "object"


class OnVisible(OnObject):
    """On one object whose content may come into the ledger."""

    @model_validator(mode="after")
    def no_secret(self) -> OnVisible:
        """Refuse a Secret, whose content would be stored and shown."""
        if self.object_ is not None and self.object_.kind == "Secret":
            raise wrong_shape(
                "a Secret is not read, since what is read is stored: let the pod that needs it "
                "have it, or give it to Postsync as a secret"
            )
        return self


def evaluate_on(call: Call, place: str, source: str, found: Object) -> Any:
    """Evaluate a `Cel` parameter over an object.

    Args:
        call: the attempt.
        place: the parameter, for messages.
        source: its CEL.
        found: the object.

    Raises:
        ExpressionError: a field is missing, or a type is wrong.
    """
    metadata = {name: one for name, one in found["metadata"].items() if name != "managedFields"}
    try:
        return call.evaluate(source, {CEL_NAME: {**found, "metadata": metadata}})
    except ExpressionError as error:
        raise ExpressionError(f"{place}: {error.message}", hint=error.hint) from None


def condition_holds(call: Call, place: str, source: str, found: Object) -> bool:
    """Evaluate a condition.

    Raises:
        ExpressionError: a field is missing, or a type is wrong.
        PermanentError: it gives something else than true or false.
    """
    value = evaluate_on(call, place, source, found)
    if not isinstance(value, bool):
        raise PermanentError(f"{place} gives neither true nor false")
    return value
