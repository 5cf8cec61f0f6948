"""What `postsync check --cluster` says of the connections to Argo CD."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from receiver.app.connections import build_connections, unknown_senders
from receiver.argocd.probe import Probe, probe
from receiver.core.errors import Problem
from receiver.outbound import Outbound
from receiver.settings.model import Settings
from receiver.settings.token_files import read_folder

PATIENCE = 60.0
"""Seconds in which one connection is tried."""


@dataclass(slots=True)
class CheckedConnections:
    """What was tried by sender, what does not work, and what cannot be read."""

    tried: dict[str, list[Probe]] = field(default_factory=dict)

    @property
    def problems(self) -> list[Problem]:
        """Connections that do not work."""
        return [_problem(sender, one.name, why) for sender, one in self._each()
                for why in one.problems]  # fmt: skip

    @property
    def notes(self) -> list[Problem]:
        """Rights that lack for some objects."""
        return [_problem(sender, one.name, why) for sender, one in self._each()
                for why in one.missing]  # fmt: skip

    def as_json(self) -> dict[str, Any]:
        """Return what was tried, for scripts."""
        return {sender: [asdict(one) for one in probes] for sender, probes in self.tried.items()}

    def _each(self) -> Iterator[tuple[str, Probe]]:
        for sender, probes in self.tried.items():
            for one in probes:
                yield sender, one


def check_connections(settings: Settings, outbound: Outbound) -> CheckedConnections:
    """Try every connection of the settings; nothing is changed anywhere."""
    connections = build_connections(settings, outbound)
    found = CheckedConnections()
    for sender in connections.senders:
        connection = connections.for_sender(sender)
        assert connection is not None, sender  # noqa: S101 it is one of them
        found.tried[sender] = probe(connection, time.monotonic() + PATIENCE)
    return found


def sender_warnings(settings: Settings) -> Iterator[Problem]:
    """Yield the connections of which there is no token; where there are no tokens nobody knows."""
    senders = sorted({one.name for one in read_folder(settings.home / "senders").tokens})
    for sender, why in unknown_senders(settings, senders).items() if senders else ():
        yield Problem(f"argocd.{sender}", 0, 0, "", why)


def _problem(sender: str, name: str, why: str) -> Problem:
    message = why if why.startswith(name) else f"{name}: {why}"
    return Problem(f"argocd.{sender}", 0, 0, "", message)
