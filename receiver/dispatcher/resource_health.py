"""How healthy resources are whose notification does not tell it, as a connection knows it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain

from receiver.argocd.connection import Connection
from receiver.argocd.listed_health import find_listed
from receiver.argocd.objects import ApplicationState, ObjectRef, ResourceState, Unreadable
from receiver.core.model import Json
from receiver.kubernetes.health import Health

REASON = 200
"""Characters that are kept of why one object cannot be read, or is as it is."""


def read_health(
    connection: Connection,
    state: ApplicationState,
    wanted: Sequence[Mapping[int, ObjectRef]],
    deadline: float,
) -> list[dict[int, tuple[str, str]]]:
    """Return the health of resources of some syncs: Argo CD's word, and its message.

    Args:
        connection: who is asked.
        state: their Application.
        wanted: for each sync the resources, by their index.
        deadline: as `time.monotonic` counts.

    Raises:
        ConnectionFailed: nothing can be read now.
    """
    refs = sorted({*chain.from_iterable(of.values() for of in wanted)})
    if not refs:
        return [{} for _ in wanted]
    found = connection.health(state, refs, deadline=deadline)
    listed = find_listed(state, refs)
    return [{n: _health(found[ref], listed[ref]) for n, ref in of.items()} for of in wanted]


def _health(found: Health | Unreadable, listed: ResourceState | None) -> tuple[str, str]:
    """Where the object cannot tell, the Application's own list may; what is gone is missing."""
    if isinstance(found, Health):
        return found.status, found.message[:REASON]
    if listed and listed.health:
        return listed.health, listed.health_message[:REASON]
    return "Missing" if found.gone else "", found.reason[:REASON]


def count_health(told: Mapping[int, tuple[str, str]]) -> Json:
    """Return how many resources have which health."""
    words = Counter(word or "unknown" for word, _ in told.values())
    return {word: words[word] for word in sorted(words)}


def first_unknown(told: Mapping[int, tuple[str, str]]) -> str:
    """Return why a health is unknown, "" if none is."""
    return next((why for word, why in told.values() if not word), "")
