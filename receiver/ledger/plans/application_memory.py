"""The memory of each Application, by the sender and channel that its syncs come by."""

from __future__ import annotations

import json
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, astuple
from typing import Any

from sqlalchemy import Connection, select, text, tuple_

from receiver.core.model import FieldChange, Live, from_ms
from receiver.core.storable import dumps
from receiver.ledger import tables
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.plans.records import Planning
from receiver.ledger.prepared import Prepared, any_of
from receiver.notification.application_memory import Memory, apply_update
from receiver.notification.live_verdicts import Observed, Sighting, Unlisted
from receiver.notification.recalled import Recalled, Trace

MemoryKey = tuple[str, str, str]
"""Sender, channel and Application: each cluster has its own memory, and so has each channel, since
the same sync may come by several."""

_M = tables.memories.c


_S = tables.syncs.c
_OF_SYNCS = Prepared(
    select(tables.memories).where(
        tuple_(_M.sender, _M.channel, _M.application).in_(
            select(_S.sender, _S.channel, _S.application).where(any_of(_S.id, "syncs"))
        )
    )
)


def memories_of(connection: Connection, syncs: Sequence[str]) -> dict[MemoryKey, Memory]:
    """Return the memories of the Applications of these syncs; those that there are."""
    rows = _OF_SYNCS.all(connection, syncs=syncs)
    return {(row.sender, row.channel, row.application): _read(row) for row in rows}


def update_memories(uow: UnitOfWork, plannings: Sequence[Planning]) -> None:
    """Apply what these syncs change to the memories, in their order; write what changes."""
    updates = {one.sync: (one.memory_key, one.memory_update) for one in plannings}
    wanted = [sync for sync, (_, update) in updates.items() if update]
    before = memories_of(uow.connection, wanted) if wanted else {}
    now = dict(before)
    for key, update in updates.values():
        if key and update:
            now[key] = apply_update(now.get(key, Memory()), update)
    _write(uow, before, now)


def _write(
    uow: UnitOfWork, before: Mapping[MemoryKey, Memory], now: Mapping[MemoryKey, Memory]
) -> None:
    for key, memory in sorted(now.items(), key=lambda item: item[0]):
        something = memory.images or memory.failed
        if something and memory is not before.get(key):
            uow.add(_REMEMBER, _row(key, memory))
        elif key in before and not something:
            uow.add(_FORGET, dict(zip(_KEY, key, strict=True)))


def delete_memories(connection: Connection, keys: Collection[MemoryKey]) -> None:
    """Delete the memories of those of which no sync is left."""
    if keys:  # one by one: for a list of keys SQLite would read all memories
        rows = [dict(zip(_KEY, key, strict=True)) for key in keys]
        connection.execute(_FORGET_IF_LAST, rows)


def write_recalled(recalled: Recalled) -> str:
    """Write what is stored with a sync."""
    tree: dict[str, Any] = {}
    if recalled.images:
        tree["images"] = recalled.images
    if recalled.failed:
        tree["failed"] = {number: astuple(trace) for number, trace in recalled.failed.items()}
    if recalled.observed is not None:
        tree["observed"] = {
            "listed": {n: _sighting(seen) for n, seen in recalled.observed.listed.items()},
            "unlisted": [
                [*astuple(one), _sighting(seen)] for one, seen in recalled.observed.unlisted.items()
            ],
            "health": recalled.observed.health,
        }
        if told := recalled.observed.told:
            tree["observed"]["told"] = {key: asdict(live) for key, live in told.items()}
        if recalled.observed.unasked:
            tree["observed"]["unasked"] = True
    return dumps(tree)


def read_recalled(written: str | None) -> Recalled:
    """Read it back from the sync's row."""
    tree = json.loads(written or "{}")
    observed = tree.get("observed")
    return Recalled(
        {int(number): changed for number, changed in tree.get("images", {}).items()},
        {int(number): Trace(*trace) for number, trace in tree.get("failed", {}).items()},
        observed and _observed(observed),
    )


def _sighting(seen: Sighting) -> str | list[Any]:
    """Write why an object cannot tell, or when what happened to it; in seconds."""
    if seen.unreadable:
        return seen.unreadable
    created = seen.created and int(seen.created.timestamp())
    return [created, *([manager, int(at.timestamp())] for manager, at in seen.changes)]


def _observed(tree: Any) -> Observed:
    return Observed(
        {int(number): _read_sighting(seen) for number, seen in tree["listed"].items()},
        {Unlisted(*one): _read_sighting(seen) for *one, seen in tree["unlisted"]},
        {int(number): (word, why) for number, (word, why) in tree["health"].items()},
        {key: _read_live(**live) for key, live in tree.get("told", {}).items()},
        tree.get("unasked", False),
    )


def _read_live(*, fields: dict[str, Any], **texts: Any) -> Live:
    return Live(fields={path: FieldChange(**one) for path, one in fields.items()}, **texts)


def _read_sighting(written: str | list[Any]) -> Sighting:
    if isinstance(written, str):
        return Sighting(unreadable=written)
    created, *changes = written
    return Sighting(
        tuple((manager, from_ms(at * 1000)) for manager, at in changes),
        None if created is None else from_ms(created * 1000),
    )


def _read(row: Any) -> Memory:
    """Read a row; a damaged one is nothing remembered, so that no sync waits for it."""
    try:
        failed = {key: Trace(*trace) for key, trace in json.loads(row.failed).items()}
        return Memory(json.loads(zlib.decompress(row.packed_images)), row.images_at, failed)
    except (ValueError, TypeError, AttributeError, zlib.error):
        return Memory()


def _row(key: MemoryKey, memory: Memory) -> dict[str, Any]:
    failed = {key: astuple(trace) for key, trace in memory.failed.items()}
    return dict(zip(_KEY, key, strict=True)) | {
        "packed_images": zlib.compress(dumps(memory.images).encode(), 1),
        "images_at": memory.images_at,
        "failed": dumps(failed),
    }


_KEY = ("sender", "channel", "application")
_REMEMBER = text(
    "INSERT INTO memories (sender, channel, application, packed_images, images_at, failed) "
    "VALUES (:sender, :channel, :application, :packed_images, :images_at, :failed) "
    "ON CONFLICT (sender, channel, application) DO UPDATE "
    "SET packed_images = excluded.packed_images, images_at = excluded.images_at, "
    "failed = excluded.failed"
)
_FORGET = text(
    "DELETE FROM memories "
    "WHERE sender = :sender AND channel = :channel AND application = :application"
)
_FORGET_IF_LAST = text(
    f"{_FORGET.text} AND NOT EXISTS (SELECT 1 FROM syncs WHERE syncs.sender = :sender "
    "AND syncs.channel = :channel AND syncs.application = :application)"
)
