"""How plans of a rule behave: retries, concurrency, limits, debounce. Durations are seconds."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from receiver.contract import Duration
from receiver.rules.schema.words import Strict

Mode = Literal["run", "observe"]
OnNewer = Literal["parallel", "queue", "supersede"]
OnUnknownChange = Literal["run", "skip"]


class Retry(Strict):
    """Exponential backoff with full jitter."""

    for_: Duration = Field(
        default=3600.0, alias="for", description="Stop trying so long after the first attempt."
    )
    initial_delay: Duration = Field(default=2.0, description="The first delay is at most this.")
    factor: float = Field(
        default=2.0, ge=1, le=10, description="By which the delay grows with each attempt."
    )
    max_delay: Duration = Field(default=300.0, description="No delay of ours is longer.")


class Concurrency(Strict):
    """At most `limit` plans with the same key are under way at one time; others wait in order."""

    key: str = Field(default="", description="A string with ${{ }}; empty: one key for the rule.")
    limit: int = Field(default=1, ge=1, description="Plans under way at one time.")


class Limits(Strict):
    """A guard against a mass sync, of a bootstrap or a disaster recovery."""

    max_targets: int = Field(ge=1, description="Resources that a plan may have without a word.")
    otherwise: Literal["hold", "batch"] = Field(
        default="hold",
        description="What becomes of a plan with more: hold keeps it until it is approved, batch "
        "takes so many resources at a time, and stops at the first that fail.",
    )


class Debounce(Strict):
    """Several syncs make one plan: it waits until none has come for the length of `window`."""

    window: Duration = Field(
        default=30.0, gt=0, description="Quiet that ends the waiting; each sync begins it anew."
    )
    max_wait: Duration = Field(
        default=300.0, gt=0, description="The plan waits no longer than this after its first sync."
    )
    key: str = Field(
        default="",
        description="A string with ${{ }}: syncs with equal keys share a plan; empty: those of "
        "one application.",
    )
