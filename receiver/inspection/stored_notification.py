"""A stored notification: as it may be shown, and as the sync that it was."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from typing import Any

from receiver.core.errors import PayloadError
from receiver.core.model import DeliveryVerdict, Sync
from receiver.inspection.redaction import redacted, redacted_query, redacted_text
from receiver.ledger.plans.application_memory import read_recalled
from receiver.ledger.queries.deliveries import Kept
from receiver.ledger.queries.delivery_rows import DeliveredSync, DeliveryStory, StoredDelivery
from receiver.notification.json_errors import read_json
from receiver.notification.parse import read_notification
from receiver.notification.recalled import Recalled

DEEPEST = 200
"""Levels of a tree that are shown; an Application has some ten, and the API's clients have limits
of their own."""


def delivery_story(kept: Kept) -> DeliveryStory:
    """Return a delivery with its notification, in which what names call a credential is masked."""
    tree, text = (None, "") if kept.body is None else _read(kept.body)
    query = redacted_query(kept.row["query"])
    return {
        **kept.row, "query": query, "notification": tree, "text": text, "note": _note(kept),
    }  # fmt: skip


def sync_of(row: StoredDelivery, outcome: DeliveredSync, body: bytes) -> tuple[Sync, Recalled]:
    """Return the sync that a stored notification told of, and what was known when it was planned.

    Raises:
        PayloadError: this version does not understand it.
    """
    read = read_notification(body, sender=row["sender"], channel=row["channel"], query=row["query"])
    received = datetime.fromisoformat(row["receivedAt"])
    sync = replace(read.sync, id=row["sync"] or "", received_at=received)
    return sync, read_recalled(json.dumps(outcome["recalled"] or {}))


def _read(body: bytes) -> tuple[Any, str]:
    """Return a body as a tree, or as the text that it is."""
    try:
        tree = read_json(body)
        if _depth(tree) <= DEEPEST:
            return redacted(tree), ""
    except (PayloadError, RecursionError):
        pass
    return None, redacted_text(body.decode("utf-8", "replace"))


def _depth(tree: Any) -> int:
    depth, level = 0, [tree]
    while level:
        depth += 1
        level = [
            item
            for one in level
            if isinstance(one, dict | list)
            for item in (one.values() if isinstance(one, dict) else one)
        ]
    return depth


def _note(kept: Kept) -> str:
    if kept.body is not None:
        return ""
    outcome = kept.row["outcome"]
    if kept.row["verdict"] != DeliveryVerdict.DUPLICATE or outcome is None:
        return "the body cannot be unpacked"
    return (
        f"of a duplicate no body is kept; that of its sync {kept.row['sync']} is in "
        f"GET /v1/deliveries/{outcome['delivery']}"
    )
