"""Makes a server's JSON fit for the ledger and for expressions."""

from __future__ import annotations

import math
from typing import Any

from receiver.contract import Json

DEEPEST = 64
"""Levels that are kept; what is built to exhaust a reader has thousands."""
INTEGERS = range(-(1 << 63), 1 << 64)
"""The range of CEL's int and uint; a larger one becomes a double, as in JavaScript."""


def storable(tree: Any, levels: int = DEEPEST) -> Json:
    """Return what a parser read, with integers that are too large as doubles.

    Raises:
        ValueError: it is too deep, or has half a surrogate pair or an infinite number in it.
    """
    if levels == 0:
        raise ValueError("is nested too deeply")
    if isinstance(tree, dict):
        return {_text(key): storable(value, levels - 1) for key, value in tree.items()}
    if isinstance(tree, list):
        return [storable(item, levels - 1) for item in tree]
    if isinstance(tree, str):
        return _text(tree)
    return _number(tree) if isinstance(tree, int | float) else tree


def _number(number: float) -> float:
    if isinstance(number, int) and number in INTEGERS:
        return number
    try:
        double = float(number)
    except OverflowError:
        double = math.inf
    if not math.isfinite(double):
        raise ValueError("has a number that is too large")
    return double


def _text(text: str) -> str:
    text.encode()  # half of a surrogate pair raises UnicodeEncodeError, a ValueError
    return text
