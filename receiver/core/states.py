"""The states of syncs, plans and runs, and what each of them means: this is the only place.

Code asks a state for a trait; lists of names and SQL conditions are made from the traits.
"""

from __future__ import annotations

from enum import Flag, StrEnum, auto
from typing import Self


class SyncState(StrEnum):
    """Where a sync is: stored, waiting for its live objects, planned, or not acted upon."""

    NEW = "new"
    VERIFYING = "verifying"
    PLANNED = "planned"
    IGNORED = "ignored"
    FAILED = "failed"


UNPLANNED_SYNCS = (SyncState.NEW, SyncState.VERIFYING)
LEFT_OUT_SYNCS = (SyncState.IGNORED, SyncState.FAILED)


class Trait(Flag):
    """What a state means.

    Attributes:
        OPEN: something may still happen by itself, or by an approval; it can be cancelled.
        APPROVABLE: it waits for an approval.
        RETRYABLE: an operator's retry opens it again.
        STARTED: (plans) it has started, and supersedes older plans; while open, it has or waits for
            one of the slots of its concurrency key.
        RELEASED: (runs) its wave was released, and it has not ended.
        QUEUED: (runs) it lies in the queue, or is out of it for an attempt.
        CLAIMABLE: (runs) it is claimed when its time has come.
        UNDER_WAY: (runs) an attempt has begun and is not over.
        SUCCESS: (runs) the waves after it may begin.
        FAILURE: (runs) it fails its wave.
    """

    NONE = 0
    OPEN = auto()
    APPROVABLE = auto()
    RETRYABLE = auto()
    STARTED = auto()
    RELEASED = auto()
    QUEUED = auto()
    CLAIMABLE = auto()
    UNDER_WAY = auto()
    SUCCESS = auto()
    FAILURE = auto()


class _State(StrEnum):
    """A state with its traits."""

    traits: Trait

    def __new__(cls, value: str, traits: Trait = Trait.NONE) -> Self:
        state = str.__new__(cls, value)
        state._value_ = value
        state.traits = traits
        return state

    def has(self, trait: Trait) -> bool:
        """Whether it has all of these traits."""
        return trait in self.traits

    @property
    def ended(self) -> bool:
        """Whether nothing more happens by itself."""
        return not self.has(Trait.OPEN)

    @classmethod
    def where(cls, trait: Trait, *, without: Trait = Trait.NONE) -> tuple[Self, ...]:
        """Return the states that have all of these traits, and none of those."""
        return tuple(one for one in cls if one.has(trait) and not one.traits & without)


class PlanState(_State):
    """Where a plan is.

    ``waiting`` is for a place under its concurrency key, ``collecting`` for further syncs
    (debounce, throttle), ``held`` for an approval, ``gated`` for its resources to be healthy
    (waitFor).
    """

    WAITING = "waiting", Trait.OPEN | Trait.STARTED
    COLLECTING = "collecting", Trait.OPEN
    HELD = "held", Trait.OPEN | Trait.APPROVABLE
    GATED = "gated", Trait.OPEN
    ACTIVE = "active", Trait.OPEN | Trait.STARTED
    SUCCEEDED = "succeeded", Trait.STARTED | Trait.RETRYABLE
    FAILED = "failed", Trait.STARTED | Trait.RETRYABLE
    SUPERSEDED = "superseded", Trait.NONE
    CANCELLED = "cancelled", Trait.RETRYABLE


class RunState(_State):
    """Where a run is; ``acknowledged`` is one that failed, which nobody need look at any more."""

    WAITING = "waiting", Trait.OPEN
    DUE = "due", Trait.OPEN | Trait.RELEASED | Trait.QUEUED | Trait.CLAIMABLE
    RUNNING = "running", Trait.OPEN | Trait.RELEASED | Trait.QUEUED | Trait.UNDER_WAY
    PENDING = (
        "pending",
        Trait.OPEN | Trait.RELEASED | Trait.QUEUED | Trait.CLAIMABLE | Trait.UNDER_WAY,
    )
    HELD = "held", Trait.OPEN | Trait.RELEASED | Trait.APPROVABLE
    SUCCEEDED = "succeeded", Trait.SUCCESS
    FAILED = "failed", Trait.FAILURE | Trait.RETRYABLE
    ACKNOWLEDGED = "acknowledged", Trait.FAILURE | Trait.RETRYABLE
    SKIPPED = "skipped", Trait.SUCCESS
    SUPERSEDED = "superseded", Trait.NONE
    CANCELLED = "cancelled", Trait.FAILURE | Trait.RETRYABLE


class SkipCause(StrEnum):
    """Why a run was skipped; a retry opens again what an earlier failure has skipped."""

    EARLIER_FAILURE = "earlier_failure"
    NO_EARLIER_FAILURE = "no_earlier_failure"
    FAILURE_RECOVERED = "failure_recovered"
    CONDITION_FALSE = "condition_false"
    OBSERVE_MODE = "observe_mode"


OPEN_PLANS = PlanState.where(Trait.OPEN)
OPEN_RUNS = RunState.where(Trait.OPEN)
