"""Builds what works beside the dispatcher's loop because it asks others, who may be slow."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING

from receiver.argocd.connections import Connections
from receiver.core.logs import Log
from receiver.dispatcher.awaiting import Awaiting
from receiver.dispatcher.baseline import Baseline
from receiver.dispatcher.companion import OTHERS, Companion
from receiver.dispatcher.gap_repair import GapRepair
from receiver.dispatcher.health_gate import HealthGate
from receiver.dispatcher.preparation import Preparation
from receiver.dispatcher.unconnected import Unconnected
from receiver.dispatcher.verification import Verification
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.engine.open import open_ledger
from receiver.notification.live_verdicts import MANAGERS
from receiver.settings.model import Settings

if TYPE_CHECKING:
    from receiver.tracing.tracing import Tracing


def build_companions(
    settings: Settings,
    connections: Connections,
    ledger: Ledger,
    preparation: Preparation,
    wake: Callable[[], None],
    log: Log,
    tracing: Tracing | None = None,
) -> Iterator[Companion]:
    """Yield those of each sender that has a connection, and those of all others."""
    for sender in connections.senders:
        if connection := connections.for_sender(sender):
            managers = _managers(settings, sender)
            yield Verification(
                sender, connection, ledger, lambda: preparation.planner, preparation.handover,
                wake, log, managers=managers,
            )  # fmt: skip
            yield Baseline(sender, connection, ledger, lambda: preparation.planner, managers, log)
            yield HealthGate(sender, connections, ledger, wake, log, managers=managers)
            yield Awaiting(sender, connections, ledger, wake, log)
            if settings.argocd[sender].intake != "notifications":
                inbox = open_ledger(settings.ledger, reserve=settings.disk_reserve)
                yield GapRepair(sender, connection, inbox, settings, wake, log, tracing)
    yield HealthGate(OTHERS, connections, ledger, wake, log)
    yield Awaiting(OTHERS, connections, ledger, wake, log)
    yield Unconnected(connections.senders, ledger, wake, log)


def _managers(settings: Settings, sender: str) -> Collection[str]:
    return MANAGERS.union(settings.argocd[sender].managers)
