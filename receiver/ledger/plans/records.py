"""What planning reads from the ledger and what it hands back: data, and nothing that reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from receiver.core.model import Event, Json
from receiver.core.states import PlanState, RunState, SkipCause, SyncState
from receiver.ledger.plans.awaited import Awaited
from receiver.ledger.plans.field_values import FieldUpdate
from receiver.ledger.plans.plan import Gate, Plan
from receiver.ledger.plans.run import Run
from receiver.notification.application_memory import MemoryUpdate
from receiver.notification.recalled import Recalled
from receiver.rules.matching.questions import Wanted


@dataclass(frozen=True, slots=True)
class StoredSync:
    """A sync as it was stored; times in milliseconds. ``query`` is that of the request's path.

    ``resources`` is how many its notification lists; ``recalled`` is what was recalled of them when
    it was planned, or when its live objects were asked for.
    """

    id: str
    delivery: str
    sender: str
    channel: str
    received_at: int
    query: Mapping[str, str]
    body: bytes
    resources: int
    recalled: Recalled


@dataclass(frozen=True, slots=True)
class RunChange:
    """What releasing a wave makes of a waiting run; ``skip_cause`` is of one that is skipped.

    ``expires``: after so many seconds one that is held is cancelled; None: never.
    """

    run: str
    state: RunState
    reason: str = ""
    parameters: Json = None
    secrets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    lane: str = ""
    skip_cause: SkipCause | None = None
    expires: float | None = None


@dataclass(frozen=True, slots=True)
class Advance:
    """One step of a plan: runs that it gets, runs that change, and its end, if this is it."""

    plan: str
    sync: str
    flow: str
    runs: tuple[Run, ...] = ()
    changes: tuple[RunChange, ...] = ()
    end: PlanState | None = None
    reason: str = ""
    events: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class Collect:
    """How a plan collects syncs: those with the same ``key``; times in milliseconds.

    A sync that would give it more than ``most`` targets begins another one. A new plan waits for
    the Applications that are ``awaited``, if there are any. With ``every`` it begins so long after
    the plan before it (`throttle`), and neither window nor longest counts.
    """

    key: str
    window: int
    longest: int
    most: int
    awaited: Awaited | None = None
    every: int | None = None


@dataclass(frozen=True, slots=True)
class NewPlan:
    """A plan before it is stored, when it is decided whether it starts, waits or joins another one.

    ``rule_set`` is the digest of the set that its rule comes from.
    ``targets`` are ``{index, resource, reason}``, of a plan that collects syncs also
    ``{sync, sender, application}``. ``sync_finished_at`` is in milliseconds; ``series`` names what
    it has in common with the plans that it may supersede.
    """

    id: str
    rule: str
    rule_set: str
    mode: str
    targets: list[dict[str, Json]]
    key: str | None
    limit: int | None
    runs: tuple[Run, ...]
    first: Advance
    sync_finished_at: int = 0
    series: str | None = None
    hold_above: int | None = None
    gate: Gate | None = None
    collect: Collect | None = None

    @property
    def hold(self) -> str:
        """Why it waits for an approval; a plan that collects is only judged when it starts."""
        return "" if self.collect else hold_reason(len(self.targets), self.hold_above)


def hold_reason(targets: int, hold_above: int | None) -> str:
    """Return why a plan with so many targets waits for an approval, "" if it does not."""
    if hold_above is None or targets <= hold_above:
        return ""
    return f"matches {targets} resources, more than maxTargets {hold_above}"


@dataclass(frozen=True, slots=True)
class Planning:
    """All that planning one sync writes.

    ``memory_update`` changes the memory of its Application, which ``memory_key`` names.
    ``verify_until``, in milliseconds: the sync is not planned yet, but waits for what its live
    objects tell, at most until then.
    ``wanted``: what is to be read of them then, which is not stored.
    ``was``: its state until then: one that has waited is planned with what was seen. ``fields`` are
    remembered after it.
    ``asked``: somebody wants these plans, whatever newer ones there are.
    ``left_out``: why rules of namespaces have no plan although they may match, by their name.
    """

    sync: str
    application: str
    state: SyncState
    reason: str
    rule_set: str | None
    changes: Mapping[str, int] = field(default_factory=dict)
    plans: tuple[NewPlan, ...] = ()
    recalled: Recalled = field(default_factory=Recalled)
    memory_key: tuple[str, str, str] | None = None
    memory_update: MemoryUpdate | None = None
    events: tuple[Event, ...] = ()
    asked: bool = False
    verify_until: int | None = None
    wanted: Wanted | None = None
    was: SyncState = SyncState.NEW
    fields: FieldUpdate | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PlannedSync:
    """A sync that a plan covers, with what was recalled of its resources."""

    id: str
    recalled: Recalled


@dataclass(frozen=True, slots=True)
class StoredPlan:
    """A plan whose next step is due, its runs, and the syncs that it covers, the newest last."""

    plan: Plan
    syncs: tuple[PlannedSync, ...]
    runs: tuple[Run, ...]

    @property
    def id(self) -> str:
        """The plan's."""
        return self.plan.id
