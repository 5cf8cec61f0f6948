"""A notification's bytes -> a Sync and its identity; nothing here touches disk or network."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from receiver.core.errors import PayloadError
from receiver.core.model import Sync
from receiver.notification.build import build
from receiver.notification.checks import check_finished, check_times
from receiver.notification.json_errors import WAY_OUT, read_json, read_query
from receiver.notification.resource_list import trim
from receiver.notification.shapes import Found, find, unknown_shape

__all__ = ["Notification", "read_notification"]

CHANNEL = "sync"
"""The channel of finished operations; others are for events of the user's choosing."""

NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
"""A DNS subdomain, as Kubernetes demands of an object's name: at most 253 characters."""

EVENT_KEY_LIMIT = 1000
"""Characters of an event key; ours to choose, it is stored with the sync."""


@dataclass(frozen=True, slots=True)
class Notification:
    """A notification, understood.

    ``identity`` is a SHA-256 in hex; two deliveries with the same one are duplicates. A
    ``weak`` one is of the body alone, as the sync's own times are missing: it identifies
    duplicates only for a short while. ``shape`` is the name of the body's shape, ``listed``
    how many resources it lists, ``left_out`` how many entries of that list were no objects.
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

    Raises:
        PayloadError: ``empty``, ``not_json``, ``double_encoded``, ``unknown_shape``,
            ``wrong_type``, ``bad_name``, ``not_finished`` or ``wrong_time``.
    """
    tree = read_json(body)
    query, trimmed = read_query(query), trim(tree, most)
    found = _find(tree, query, channel)
    event_key = "" if channel == CHANNEL else _event_key(tree, query)
    sync = build(found, sender=sender, channel=channel, event_key=event_key, resources=resources)
    if now is not None:
        check_times(sync, now)
    weak = not (sync.started_at or sync.finished_at or event_key)
    identity = _identity(sync, body if weak else b"")
    counted = trimmed.get(found.shape, trimmed[""])
    listed = counted.entries if most is not None and counted.entries > most else _listed(found)
    return Notification(sync, identity, weak, found.shape, listed, counted.left_out)


def _find(tree: Any, query: Mapping[str, str], channel: str) -> Found:
    found = find(tree, query)
    if not found.application.name or (found.operation is None and channel == CHANNEL):
        raise unknown_shape(tree, query)
    _check_names(found)
    if channel == CHANNEL:
        check_finished(found, tree)
    return found


def _listed(found: Found) -> int:
    result = found.operation and found.operation.sync_result
    return len((result and result.resources) or ())


def _check_names(found: Found) -> None:
    names = {"name": found.application.name, "namespace": found.application.namespace}
    for what, name in names.items():
        if name and not NAME.fullmatch(name):
            message = f"the application's {what} {name[:80]!r} is no Kubernetes name"
            raise PayloadError("bad_name", message, hint=WAY_OUT)


def _event_key(tree: Any, query: Mapping[str, str]) -> str:
    key = tree.get("eventKey") if isinstance(tree, dict) else None
    if key is None:
        key = query.get("eventKey", "")
    if isinstance(key, bool) or not isinstance(key, str | int | float):
        raise _bad_event_key("should be a string")
    text = str(key)
    if len(text) > EVENT_KEY_LIMIT:
        raise _bad_event_key(f"is longer than {EVENT_KEY_LIMIT} characters")
    return text


def _bad_event_key(why: str) -> PayloadError:
    return PayloadError("wrong_type", f"eventKey: {why}", fields={"eventKey": why})


def _identity(sync: Sync, body: bytes) -> str:
    """Digest what makes a sync itself. A JSON list of strings cannot be read in two ways.

    The moments count and not their spelling. The uid is no part of it.
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
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
