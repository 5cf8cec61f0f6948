"""The gate: a plan whose rule has `waitFor` starts when its resources are healthy.

It stands behind the approval of a held plan, and before the slot of a concurrency key: what is sick
keeps nobody else from a slot.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select, text, update

from receiver.core.model import Json
from receiver.core.states import PlanState
from receiver.ledger import tables
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.plans.plan import Gate, Plan, read_plans, select_plans
from receiver.ledger.plans.start import fail_unstarted, start_stored
from receiver.ledger.plans.supersede import supersede_gated

_P, _S = tables.plans.c, tables.syncs.c


@dataclass(frozen=True, slots=True)
class GatedPlan:
    """A plan that waits for its resources to be healthy.

    Attributes:
        id: the plan's.
        sync: its newest sync.
        sender: that sync's.
        gate: how it waits.
        until: when it waits no longer, in milliseconds.
        reason: what it was seen to wait for.
    """

    id: str
    sync: str
    sender: str
    gate: Gate
    until: int
    reason: str

    @property
    def since(self) -> int:
        """When it began to wait, in milliseconds."""
        return self.until - self.gate.longest


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a plan that waits, or why it waits on.

    Attributes:
        plan: its id.
        opens: all that it waits for is healthy.
        superseded: why a newer operation makes it needless, "" if none does.
        unhealthy: why it waits no longer though not all is healthy, "" if it may.
        waits: what it was seen to wait for, "" if nobody looked.
    """

    plan: str
    opens: bool = False
    superseded: str = ""
    unhealthy: str = ""
    waits: str = ""

    @property
    def decided(self) -> bool:
        """Whether it waits no longer."""
        return self.opens or bool(self.superseded or self.unhealthy)


def gated_plans(connection: Connection) -> list[GatedPlan]:
    """Return all plans that wait for their resources, the oldest first."""
    query = (
        select(_P.id, _P.sync_id, _S.sender, _P.gate, _P.due_at, _P.reason)
        .join(tables.syncs, _S.id == _P.sync_id)
        .where(text(f"plans.{tables.GATED_PLAN}"))
        .order_by(_P.id)
    )
    return [
        GatedPlan(row.id, row.sync_id, row.sender, Gate(**json.loads(row.gate)), row.due_at,
                  row.reason)
        for row in connection.execute(query)
    ]  # fmt: skip


def gated_plan(connection: Connection, plan: str) -> Plan | None:
    """Return a plan with its targets, None if it waits for its resources no longer."""
    query = select_plans().where(_P.id == plan, _P.state == PlanState.GATED.value)
    return next(read_plans(connection, query), None)


def store_verdicts(uow: UnitOfWork, verdicts: Sequence[Verdict]) -> None:
    """Start and end plans that wait no longer, unless somebody else has done so meanwhile.

    Of plans that may supersede one another the newest starts first, others in their order.
    """
    found = [(one, gated_plan(uow.connection, one.plan)) for one in verdicts]
    known = [(one, plan) for one, plan in found if plan is not None]
    for verdict, plan in sorted(known, key=lambda pair: pair[1].order, reverse=True):
        if plan.series is not None:
            _store(uow, verdict, plan)
    for verdict, plan in sorted(known, key=lambda pair: pair[1].order):
        if plan.series is None:
            _store(uow, verdict, plan)


def _store(uow: UnitOfWork, verdict: Verdict, read: Plan) -> None:
    uow.flush()
    plan = gated_plan(uow.connection, read.id)
    if plan is None or plan.gate is None:
        return  # superseded by one that has just started
    if verdict.superseded:
        supersede_gated(uow, plan, verdict.superseded)
        return
    if verdict.opens:
        since = (plan.due_at or uow.now) - plan.gate.longest
        uow.events.append(plan.event("plan.opened", {"afterSeconds": (uow.now - since) // 1000}))
        start_stored(uow, plan)
        return
    data: dict[str, Json] = {"reason": verdict.unhealthy, "otherwise": plan.gate.otherwise}
    uow.events.append(plan.event("plan.unhealthy", data))
    if plan.gate.otherwise == "fail":
        fail_unstarted(uow, plan, verdict.unhealthy)
    else:
        start_stored(uow, plan)


def store_reasons(connection: Connection, verdicts: Sequence[Verdict]) -> None:
    """Store what plans were seen to wait for."""
    for one in verdicts:
        connection.execute(
            update(tables.plans)
            .where(_P.id == one.plan, _P.state == PlanState.GATED.value)
            .values(reason=one.waits)
        )
