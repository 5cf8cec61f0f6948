"""How many attempts begin in a time, as an operator says it."""

from __future__ import annotations

from pydantic import Field

from receiver.rules.schema.match import Strict


class AttemptRate(Strict):
    """A token bucket of attempts."""

    per_second: float = Field(gt=0)
    """So many a second."""
    burst: int = Field(ge=1)
    """So many at once."""
