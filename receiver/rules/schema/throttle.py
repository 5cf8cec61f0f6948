"""`throttle`: one plan at once, and what comes soon after it in another one."""

from __future__ import annotations

from pydantic import Field

from receiver.contract import Duration
from receiver.rules.schema.match import Strict


class Throttle(Strict):
    """One plan begins in each `every`: the first at once, all further syncs as one at its end."""

    every: Duration = Field(
        gt=0, description="From the beginning of one plan to that of the next one."
    )
    key: str = Field(
        default="",
        description="A string with ${{ }}: syncs with equal keys share a plan; empty: those of "
        "one application.",
    )
