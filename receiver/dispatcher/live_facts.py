"""What rules ask of a live object beside its change."""

from __future__ import annotations

import hashlib

from receiver.argocd.objects import LiveObject, Unreadable
from receiver.core.model import Live
from receiver.dispatcher.resource_health import REASON
from receiver.rules.matching.questions import Asks

LONGEST = 1_000
"""Characters of an annotation that are kept: of a longer one the digest. One of Kubernetes may
have 262,144."""


def live_texts(found: LiveObject | Unreadable, asks: Asks) -> Live:
    """Return the labels and annotations that are asked for."""
    if isinstance(found, Unreadable):
        return Live(unknown=found.reason[:REASON])
    return Live(
        {**found.labels} if asks.labels else None,
        {key: _short(text) for key, text in found.annotations.items()}
        if asks.annotations
        else None,
    )


def _short(text: str) -> str:
    if len(text) <= LONGEST:
        return text
    return "sha256:" + hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
