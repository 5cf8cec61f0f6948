"""Durations as people write them: ``30s``, ``1h30m``, ``500ms``."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

UNITS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
"""In milliseconds, the longest first."""
DURATION = re.compile(r"(?:\d+(?:ms|s|m|h|d))+")
LONGEST = 365 * 86400.0


def seconds(value: Any) -> Any:
    """Read a duration like ``30s``, ``1h30m`` or ``500ms`` as seconds, a year at most.

    A bare number is refused, since its unit would be a guess; 0 needs none.
    """
    if isinstance(value, str) and DURATION.fullmatch(value):
        parts = re.findall(r"(\d+)(ms|s|m|h|d)", value)
        total = sum(int(number) * UNITS[unit] for number, unit in parts)
        if total > LONGEST * 1000:
            raise ValueError("is longer than a year")
        return total / 1000
    if value == 0 and not isinstance(value, bool):
        return 0.0
    raise ValueError("is no duration; write a number with a unit, as in 30s, 5m, 1h30m or 500ms")


def duration_text(value: float) -> str:
    """Write seconds as the shortest duration: 5400 as ``1h30m``."""
    rest, text = round(value * 1000), ""
    for unit, size in UNITS.items():
        number, rest = divmod(rest, size)
        text += f"{number}{unit}" if number else ""
    return text or "0s"


Duration = Annotated[
    float,
    BeforeValidator(seconds),
    WithJsonSchema({"type": "string", "pattern": f"^{DURATION.pattern}$", "examples": ["30s"]}),
]
