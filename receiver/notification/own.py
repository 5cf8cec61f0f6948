"""The notification of our own: of what waits for an approval, on the channel `postsync`.

It is written as Argo CD's are, so that it is stored, planned, explained and replayed as they are.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from receiver.core.model import Held, Sync
from receiver.notification.reading import read
from receiver.notification.wire import WireHeld

OWN_CHANNEL = "postsync"
"""The channel on which no sender may notify."""

TEXTS = ("sync", "plan", "rule", "reason", "since", "command", "link")
"""What of it is a text."""


def own_body(about: Sync, held: Held, key: str) -> bytes:
    """Return the notification, as `receiver.notification.parse` reads it.

    It has the Application and the revision of the sync that it is about, and neither its phase nor
    its times: those are of an operation, and this is none.

    Args:
        about: the sync.
        held: what of it waits.
        key: what tells it from others of this Application.
    """
    revision = {"revision": about.revision, "revisions": list(about.revisions)}
    body = {
        "application": asdict(about.application),
        "operationState": {"syncResult": revision},
        "eventKey": key,
        "held": asdict(held),
    }
    return json.dumps(body, ensure_ascii=False).encode()


def read_held(tree: Any) -> Held:
    """Read what waits from a notification of our own.

    Raises:
        PayloadError: ``wrong_type``.
    """
    found = tree.get("held") if isinstance(tree, dict) else None
    wire = read(WireHeld, {} if found is None else found, "held")
    return Held(
        **{name: getattr(wire, name) or "" for name in TEXTS},
        actions=tuple(filter(None, wire.actions or ())), count=wire.count or 0,
        targets=tuple(filter(None, wire.targets or ())),
        expires=wire.expires or None, expiring=bool(wire.expiring),
    )  # fmt: skip
