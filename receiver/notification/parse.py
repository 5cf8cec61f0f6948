"""A notification's bytes -> a Sync and its identity; nothing here touches disk or network.

An operation that has not finished is refused, and so are times that cannot be true: a clock that is
wrong must not order the syncs.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from receiver.core.errors import PayloadError
from receiver.core.model import NOTHING_HELD, Sync, rfc3339
from receiver.notification.build import build
from receiver.notification.json_errors import WAY_OUT, read_json, read_query
from receiver.notification.own import OWN_CHANNEL, read_held
from receiver.notification.own_list import others, own_resources
from receiver.notification.resource_list import Trimmed, trim
from receiver.notification.shapes import (
    FINISHED,
    Found,
    find,
    format_keys,
    misplaced_phases,
    unknown_shape,
)
from receiver.notification.wire import WireName, WireResource

__all__ = ["Notification", "read_notification"]

CHANNEL = "sync"
"""The channel of finished operations; others are for events of the user's choosing."""

NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
"""A DNS subdomain, as Kubernetes demands of an object's name: at most 253 characters."""

LONGEST = 500
"""Characters of what Argo CD takes as any text where it names something. An index of the ledger has
it, of which a row on PostgreSQL has 2,704 bytes; a character may have four."""

EVENT_KEY_LIMIT = 1000
"""Characters of an event key; ours to choose, it is stored with the sync."""

STATE = ".app.status.operationState"
"""Where a template finds the operation."""

TRIGGER = (
    "let the trigger fire when app.status?.operationState?.phase in "
    "['Succeeded','Failed','Error'], or send other events to a channel of their own, "
    "/v1/notifications/CHANNEL"
)

EARLIEST = datetime(2014, 6, 6, tzinfo=UTC)
"""The first public commit of Kubernetes: nothing was synced before that."""

AHEAD = timedelta(days=1)
"""How far the sender's clock may be ahead of ours. Clocks of clusters differ by seconds, one set in
the wrong time zone by up to 14 hours; what is further ahead is no time of an operation."""


@dataclass(frozen=True, slots=True)
class Notification:
    """A notification, understood.

    ``identity`` is a digest in hex after the moment at which the sync finished; two deliveries with
    the same one are duplicates. A ``weak`` one is of the body alone, as the sync's own times are
    missing: it identifies duplicates only for a short while. ``shape`` is the name of the body's
    shape, ``listed`` how many resources it lists, ``left_out`` how many entries of that list were
    no objects.
    """

    sync: Sync
    identity: str
    weak: bool
    shape: str
    listed: int
    left_out: int = 0


def read_notification(
    body: bytes,
    *,
    sender: str,
    channel: str,
    query: Mapping[str, str],
    resources: bool = True,
    now: datetime | None = None,
    most: int | None = None,
    values: int | None = None,
) -> Notification:
    """Parse one notification, of any of the shapes in `receiver.notification.shapes`.

    On channels other than `sync`, which takes finished operations only, there may be an
    ``eventKey``, in the body or the query: without it, one operation is one event.

    Args:
        body: as it arrived.
        sender: name of the token that it came with.
        channel: from the path.
        query: of the address; for the list of resources it is the rest of the notification.
        resources: whether the sync gets its resources.
        now: our time, to refuse times that cannot be true; None for what was accepted before.
        most: resources that it may list; of more none is read, and they are only counted.
        values: about how many values its body may have; None for any number.

    Raises:
        PayloadError: ``too_many_values``, ``empty``, ``not_json``, ``double_encoded``,
            ``unknown_shape``, ``wrong_type``, ``bad_name``, ``not_finished`` or ``wrong_time``.
    """
    tree = read_json(body, values)
    query, trimmed = read_query(query), trim(tree, most)
    found = _find(tree, query, channel)
    event_key = "" if channel == CHANNEL else _event_key(tree, query)
    sync = build(found, sender=sender, channel=channel, event_key=event_key, resources=resources)
    _check_times(sync, now)
    weak = not (sync.started_at or sync.finished_at or event_key)
    identity = _identity(sync, body if weak else b"")
    listed, left_out = _count(found, trimmed, most, channel)
    return Notification(sync, identity, weak, found.shape, listed, left_out)


def _find(tree: Any, query: Mapping[str, str], channel: str) -> Found:
    found = find(tree, query)
    if not found.application.name or (found.operation is None and channel == CHANNEL):
        raise unknown_shape(tree, query)
    _check_names(found)
    if channel == CHANNEL:
        _check_finished(found, tree)
        return found
    # There it is what the Application has that may have an event, in an operation or not.
    beside = others(own_resources(found.own), _listed(found))
    held = read_held(tree) if channel == OWN_CHANNEL else NOTHING_HELD
    return replace(found, beside=beside, held=held)


def _listed(found: Found) -> Sequence[WireResource]:
    result = found.operation and found.operation.sync_result
    return (result and result.resources) or ()


def _count(
    found: Found, trimmed: Mapping[str, Trimmed], most: int | None, channel: str
) -> tuple[int, int]:
    """Return how many resources it lists, and how many entries were none.

    Of a list that is too long it is what was counted.
    """
    main = trimmed.get(found.shape, trimmed[""])
    longest = main.entries if channel == CHANNEL else max(main.entries, trimmed["own"].entries)
    if most is not None and longest > most:
        return longest, main.left_out
    return len(_listed(found)) + len(found.beside), main.left_out


def _check_names(found: Found) -> None:
    names = {"name": found.application.name, "namespace": found.application.namespace}
    for what, name in names.items():
        if name and not NAME.fullmatch(name):
            message = f"the application's {what} {name[:80]!r} is no Kubernetes name"
            raise PayloadError("bad_name", message, hint=WAY_OUT)
    _check_lengths(found.application)


def _check_lengths(application: WireName) -> None:
    """Refuse what no index could hold; see `receiver.core.index_key`."""
    there = application.destination
    texts = {"project": application.project, "destination.namespace": there and there.namespace}
    for what, text in texts.items():
        if text and len(text) > LONGEST:
            raise PayloadError(
                "bad_name",
                f"the application's {what} {text[:80]!r} has {len(text)} characters, "
                f"more than {LONGEST}",
                hint="no AppProject and no namespace has such a name: Kubernetes takes 253 "
                "characters at most",
            )


def _event_key(tree: Any, query: Mapping[str, str]) -> str:
    key = tree.get("eventKey") if isinstance(tree, dict) else None
    if key is None:
        key = query.get("eventKey", "")
    why = ""
    if isinstance(key, bool) or not isinstance(key, str | int | float):
        why = "should be a string"
    elif len(str(key)) > EVENT_KEY_LIMIT:
        why = f"is longer than {EVENT_KEY_LIMIT} characters"
    if why:
        raise PayloadError("wrong_type", f"eventKey: {why}", fields={"eventKey": why})
    return str(key)


def _identity(sync: Sync, body: bytes) -> str:
    """Digest what makes a sync itself. A JSON list of strings cannot be read in two ways.

    The moments count and not their spelling. The uid is no part of it. When it finished stands
    first, in milliseconds: so new ones come to the end of their index, whose pages would else be
    written in no order, the more of them the more syncs there are.
    """
    parts = [
        sync.sender,
        sync.channel,
        sync.application.namespace,
        sync.application.name,
        sync.started_at.isoformat() if sync.started_at else "",
        sync.finished_at.isoformat() if sync.finished_at else "",
        sync.phase,
        sync.event_key,
    ]
    if body:
        parts += [sync.revision, hashlib.sha256(body).hexdigest()]
    digest = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
    if sync.finished_at is None:
        return digest
    return f"{int(sync.finished_at.timestamp() * 1000):012x}{digest}"[: len(digest)]


def _check_finished(found: Found, tree: Any) -> None:
    """Refuse an operation that has not finished, or without the time when it did.

    Raises:
        PayloadError: ``not_finished``; its hint names what the template lacks.
    """
    state = found.operation
    phase = (state and state.phase) or ""
    if not phase:
        raise _not_finished(
            "its phase is missing", _missing_hint("phase", found, misplaced_phases(tree))
        )
    if phase not in FINISHED:
        raise _not_finished(f"its phase is {phase[:80]!r}, none of {', '.join(FINISHED)}", TRIGGER)
    if found.shape != "resources" and not (state and state.finished_at):
        raise _not_finished("its finishedAt is missing", _missing_hint("finishedAt", found, []))


def _missing_hint(field: str, found: Found, others: list[str]) -> str:
    """Return what to write in the template so that the field is there."""
    add = f'"{field}": {{{{toJson {STATE}.{field}}}}}'
    where = " in the body or the query" if found.shape == "resources" else " in operationState"
    if others:
        keys = format_keys(others)
        return f"{keys} holds one, but it is looked for as `{field}`{where}: write {add}"
    return f"add {add}{where}; `postsync argocd-config` prints a template that has it"


def _not_finished(why: str, hint: str) -> PayloadError:
    return PayloadError("not_finished", f"the operation has not finished: {why}", hint=hint)


def _check_times(sync: Sync, now: datetime | None) -> None:
    """Refuse times that cannot be true; ``now`` is by our own clock, None for any time.

    A sync from the future would be the newest of its Application for years. Where our own clock is
    plainly wrong, as on a machine that has not synchronised it yet, nothing is refused for it.

    Raises:
        PayloadError: ``wrong_time``.
    """
    if now is None:
        return
    for name, moment in (("startedAt", sync.started_at), ("finishedAt", sync.finished_at)):
        if moment and (why := _cannot_be_true(moment, now)):
            path = f"operationState.{name}"
            raise PayloadError(
                "wrong_time",
                f"{path}: {rfc3339(moment)} {why}",
                hint="one of the two clocks is wrong: compare `date -u` on both sides",
                fields={path: why},
            )


def _cannot_be_true(moment: datetime, now: datetime) -> str:
    """Return why a time cannot be true, "" if it can."""
    if moment < EARLIEST:
        return f"is before {EARLIEST:%Y-%m-%d}, when there was no Argo CD"
    if moment > now + AHEAD and now > EARLIEST:
        return f"is more than a day ahead of our clock ({rfc3339(now)})"
    return ""
