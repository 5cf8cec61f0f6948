"""An operator asks for a sync to be planned anew; the dispatcher, who has the rules, does it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, text

from receiver.core.errors import StateConflict
from receiver.core.model import Event, Json, new_id
from receiver.core.states import UNPLANNED_SYNCS, SyncState
from receiver.ledger import tables
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.operations.common import Act, find_sync_state
from receiver.ledger.plans.application_memory import write_recalled
from receiver.ledger.plans.load import among, stored_sync
from receiver.ledger.plans.records import Planning, StoredSync
from receiver.ledger.plans.store import store_plans


@dataclass(frozen=True, slots=True)
class Replay:
    """A sync that is to be planned anew; ``rule`` is "" for all of them.

    ``any_rules`` is whether the rules in force are meant also while newer ones are refused,
    ``asked_again`` whether the live objects, which nobody could read, have been asked for again.
    """

    id: str
    rule: str
    by: str
    any_rules: bool
    asked_again: bool
    stored: StoredSync


def ask_replay(uow: UnitOfWork, act: Act, sync: str, rule: str, *, any_rules: bool = False) -> str:
    """Note down that a sync is to be planned anew, and return the replay's id.

    See `Replay` for ``any_rules``.

    Raises:
        UnknownId: there is no such sync.
        StateConflict: it has not been planned yet, or the same has been asked for already.
        BeyondBinding: it is not by a rule of who acts.
    """
    state = find_sync_state(uow, act, sync)
    if not act.binding.owns(rule):
        raise act.binding.refusal(
            "replays a sync by a rule of that alone", "name one: `--rule NAMESPACE/NAME` (rule)"
        )
    if state in UNPLANNED_SYNCS:
        when = "rules are in force" if state is SyncState.NEW else "its live objects were read"
        raise StateConflict(
            f"sync {sync} is {state}: it is planned as soon as {when}", state=state,
            hint="`postsync syncs` shows when it is",
        )  # fmt: skip
    r = tables.replays
    same = select(r.c.id).where(r.c.sync_id == sync, r.c.rule == rule, text(tables.ASKED_REPLAY))
    there = uow.connection.scalar(same)
    if there is not None:
        raise StateConflict(
            f"replay {there} of sync {sync} has been asked for and is about to begin",
            state="asked", hint=f"its story tells when it has: GET /v1/syncs/{sync}",
        )  # fmt: skip
    replay = new_id("y")
    values = {
        "id": replay, "sync_id": sync, "rule": rule, "operator": act.by, "reason": act.reason,
        "asked_at": uow.now, "with_rules_in_force": any_rules, "state": "asked", "refusal": "",
        "asked_again": False,
    }  # fmt: skip
    uow.connection.execute(insert(r), values)
    data: dict[str, Json] = {"replay": replay, **({"rule": rule} if rule else {}), **act.event_data}
    uow.events.append(Event("sync.replay_asked", data, sync=sync))
    return replay


def asked_replays(
    connection: Connection,
    limit: int,
    without: Collection[str] = (),
    only: Collection[str] | None = None,
) -> list[Replay]:
    """Return the replays that are to be planned, the oldest first; not while one is verified."""
    r = tables.replays
    query = among(select(r).where(text(tables.READY_REPLAY)), r.c.id, without, only)
    query = query.order_by(r.c.id).limit(limit)
    return [
        Replay(
            row.id, row.rule, row.operator, row.with_rules_in_force, row.asked_again,
            stored_sync(connection, row.sync_id),
        )
        for row in connection.execute(query).all()
    ]  # fmt: skip


def store_replays(uow: UnitOfWork, replays: Sequence[tuple[Replay, Planning | str]]) -> None:
    """Store the new plans of replays; a text instead is why there are none.

    The sync's own row stays as its first planning left it, and so does what is remembered of
    its application; but what nobody could read of its live objects then is asked for again.
    """
    r = tables.replays
    wanted = [replay.id for replay, _ in replays]
    still = select(r.c.id).where(r.c.id.in_(wanted), text(tables.ASKED_REPLAY))
    asked = set(uow.connection.scalars(still))
    for replay, planning in replays:
        if replay.id not in asked:
            continue
        if not isinstance(planning, str) and planning.verify_until:
            _ask_again(uow, replay, planning)
            continue
        refusal = planning if isinstance(planning, str) else ""
        state = "refused" if refusal else "planned"
        uow.change(r, replay.id, state=state, refusal=refusal, ended_at=uow.now)
        if isinstance(planning, str):
            data: dict[str, Json] = {"replay": replay.id, "by": replay.by, "reason": planning}
            data |= {"rule": replay.rule} if replay.rule else {}
            uow.events.append(Event("sync.replay_refused", data, sync=replay.stored.id))
        else:
            store_plans(uow, planning)


def _ask_again(uow: UnitOfWork, replay: Replay, planning: Planning) -> None:
    """Have the live objects of a sync read; the replay is planned after that, however it ends."""
    uow.change(tables.replays, replay.id, asked_again=True)
    uow.change(
        tables.syncs, planning.sync, state=planning.state.value, reason=planning.reason,
        verify_until=planning.verify_until, recalled=write_recalled(planning.recalled),
    )  # fmt: skip
    uow.events += planning.events
