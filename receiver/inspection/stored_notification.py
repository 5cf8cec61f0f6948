"""A stored notification as it may be shown."""

from __future__ import annotations

from typing import Any

from receiver.core.errors import PayloadError
from receiver.core.model import DeliveryVerdict
from receiver.inspection.redaction import redacted, redacted_query, redacted_text
from receiver.ledger.queries.deliveries import Kept
from receiver.ledger.queries.delivery_rows import DeliveryStory
from receiver.notification.json_errors import read_json

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
