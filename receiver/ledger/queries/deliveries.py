"""Deliveries with their bodies: the notifications as they were stored."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import ColumnElement, Connection, Row, Select, func, literal, select

from receiver.ledger import tables
from receiver.ledger.binding import UNBOUND, Binding
from receiver.ledger.queries.bulky import fitting
from receiver.ledger.queries.delivery_rows import DeliveredSync, MadePlan, StoredDelivery
from receiver.ledger.queries.fields import WHOLE, Fields
from receiver.ledger.queries.lists import EXAMINED, Filters, applications, newest_sync, paged
from receiver.ledger.queries.row_mapping import columns, moment
from receiver.ledger.queries.rows import Delivery
from receiver.ledger.queries.told import told_reason

BULKY = ("notification", "text", "note", "outcome.recalled", "outcome.plans.targets")
"""What a list leaves out by default: the body with what is said of it, and what was read of it."""

_D, _S, _P, _M = (
    tables.deliveries.c, tables.syncs.c, tables.plans.c, tables.plan_syncs.c,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Kept:
    """A delivery and its body; None where it cannot be unpacked, or is not wanted."""

    row: StoredDelivery
    body: bytes | None


def list_deliveries(
    connection: Connection, wanted: Filters, limit: int, before: str, fields: Fields,
    binding: Binding = UNBOUND,
) -> tuple[list[Kept], bool]:  # fmt: skip
    """List deliveries, the newest first, and whether there are more than fit.

    The states that are wanted are verdicts. What fits is counted in bytes of the notifications,
    unpacked, with what was seen of live objects and the targets of plans.
    """
    rows = select(_D.id, _size(fields, binding).label("size"))
    query = paged(rows, tables.deliveries, wanted, before, limit + 1, letter="d")
    if binding.bound:
        query = query.where(_D.sync_id.in_(binding.newest_syncs("", EXAMINED)))
    if wanted.states:
        query = query.where(_D.verdict.in_(wanted.states))
    if wanted.application:
        names = applications(connection, wanted.application)
        query = query.where(_D.sync_id.in_(select(_S.id).where(_S.application.in_(names))))
    found = connection.execute(query).all()
    chosen = fitting(found[:limit], (row.size for row in found[:limit]))
    kept = read_deliveries(connection, [row.id for row in chosen], fields, binding)
    return kept, len(found) > len(chosen)


def _size(fields: Fields, binding: Binding) -> ColumnElement[int]:
    """Return how much of a delivery is bulky and wanted."""
    size: ColumnElement[int] = literal(0)
    if _has_body(fields):
        size += _D.size
    texts = []
    if "outcome.recalled" in fields and not binding.bound:
        texts.append(select(func.length(_S.recalled)).where(_S.id == _D.sync_id))
    if "outcome.plans.targets" in fields:
        targets = select(func.sum(func.length(_P.targets))).where(*binding.of_rules(_P.rule))
        texts.append(targets.where(_P.sync_id == _D.sync_id))
        collecting = targets.join(tables.plan_syncs, _M.plan_id == _P.id)
        texts.append(collecting.where(_M.sync_id == _D.sync_id, _P.sync_id != _M.sync_id))
    for text in texts:
        size += func.coalesce(text.correlate(tables.deliveries).scalar_subquery(), 0)
    return size


def delivery_of(connection: Connection, wanted: str, binding: Binding = UNBOUND) -> str | None:
    """Return a delivery's id as it is; of a sync's, or of ``last``, that of its notification."""
    if wanted == "last":
        newest = newest_sync(binding).scalar_subquery()
        return connection.scalar(select(_S.delivery_id).where(_S.id == newest))
    if wanted.startswith("s-"):
        return connection.scalar(select(_S.delivery_id).where(_S.id == wanted))
    return wanted


def read_deliveries(
    connection: Connection, ids: Sequence[str], fields: Fields = WHOLE, binding: Binding = UNBOUND
) -> list[Kept]:
    """Return these deliveries, the newest first; those that there are."""
    query = _select(fields).where(_D.id.in_(ids), *binding.of_syncs(_D.sync_id))
    rows = connection.execute(query.order_by(_D.id.desc())).all()
    plans = _plans_of(connection, [row.sync for row in rows if row.sync], fields, binding)
    return [_kept(row, plans, fields, binding) for row in rows]


def _has_body(fields: Fields) -> bool:
    return any(key in fields for key in ("notification", "text", "note"))


def _select(fields: Fields) -> Select[Any]:
    of_sync = (
        _S.delivery_id, _S.application, _S.phase, _S.finished_at, _S.state, _S.reason.label("why"),
    )  # fmt: skip
    body = [_D.body] if _has_body(fields) else []
    recalled = [_S.recalled] if "outcome.recalled" in fields else []
    return select(
        *columns(tables.deliveries, Delivery), _D.channel, _D.query, *body, *of_sync, *recalled
    ).outerjoin(tables.syncs, _S.id == _D.sync_id)


def _kept(
    row: Row[Any], plans: dict[str, list[MadePlan]], fields: Fields, binding: Binding
) -> Kept:
    values = row._mapping  # noqa: SLF001 SQLAlchemy's public name, so that it is no column
    told = {key: values[key] for key in Delivery.__annotations__} | {
        "receivedAt": moment(values["receivedAt"]),
        "channel": row.channel,
        "query": json.loads(row.query),
        "outcome": None if row.delivery_id is None else _outcome(row, plans.get(row.sync, [])),
    }
    if told["outcome"] is not None and "outcome.recalled" in fields:
        told["outcome"]["recalled"] = None if binding.bound else _recalled(row.recalled)
    if told["outcome"] is not None:
        told["outcome"]["reason"] = told_reason(row.state, row.why, binding)
    return Kept(cast("StoredDelivery", told), _unpacked(row.body) if _has_body(fields) else None)


def _unpacked(packed: bytes) -> bytes | None:
    try:
        return zlib.decompress(packed)
    except zlib.error:
        return None


def _outcome(row: Row[Any], plans: list[MadePlan]) -> DeliveredSync:
    return {
        "delivery": row.delivery_id,
        "application": row.application,
        "phase": row.phase,
        "finishedAt": moment(row.finished_at),
        "state": row.state,
        "reason": row.why,
        "plans": plans,
    }


def _recalled(written: str | None) -> Any:
    """Read what is stored with a sync; an older version may have written it otherwise."""
    try:
        return None if written is None else json.loads(written, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return None


def _no_number(word: str) -> None:
    raise ValueError(word)


def _plans_of(
    connection: Connection, syncs: Sequence[str], fields: Fields, binding: Binding
) -> dict[str, list[MadePlan]]:
    """Return the plans of each sync, also those that have collected it, in order of time."""
    targets = [_P.targets] if "outcome.plans.targets" in fields else []
    shown = (_P.id, _P.rule, _P.mode, _P.state, _P.sync_id.label("newest"), *targets)
    own = select(*shown, _P.sync_id.label("sync")).where(_P.sync_id.in_(syncs))
    collecting = (
        select(*shown, _M.sync_id.label("sync"))
        .join(tables.plan_syncs, _M.plan_id == _P.id)
        .where(_M.sync_id.in_(syncs), _P.sync_id != _M.sync_id)
    )
    rows = [*connection.execute(own), *connection.execute(collecting)]
    found: dict[str, list[MadePlan]] = {}
    for row in sorted(rows, key=lambda row: str(row.id)):
        if not binding.owns(row.rule):
            continue
        plan: MadePlan = {"id": row.id, "rule": row.rule, "mode": row.mode, "state": row.state}
        if targets:
            plan["targets"] = [
                item["resource"] for item in json.loads(row.targets)
                if item.get("sync", row.newest) == row.sync
            ]  # fmt: skip
        found.setdefault(row.sync, []).append(plan)
    return found
