"""What `postsync check --cluster` says of the connections: to Argo CD, and to tenants' rules."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from receiver.app.connections import build_connections, unknown_senders
from receiver.app.tenants import READING, to_tenants
from receiver.argocd.probe import Probe, probe
from receiver.core.errors import Problem
from receiver.core.plural import plural
from receiver.dispatcher.tenants.probe import TenantsProbe, probe_tenants
from receiver.outbound import Outbound
from receiver.settings.model import Settings
from receiver.settings.tenants import tenants_of
from receiver.settings.token_files import read_folder

PATIENCE = 60.0
"""Seconds in which one connection is tried."""


@dataclass(slots=True)
class CheckedConnections:
    """What was tried by sender and of tenants, what does not work, and what cannot be read."""

    tried: dict[str, list[Probe]] = field(default_factory=dict)
    tenants: TenantsProbe | None = None

    @property
    def problems(self) -> list[Problem]:
        """Connections that do not work."""
        return [_problem(place, one.name, why) for place, one in self._each()
                for why in one.problems]  # fmt: skip

    @property
    def notes(self) -> list[Problem]:
        """Rights that lack for some objects."""
        return [_problem(place, one.name, why) for place, one in self._each()
                for why in one.missing]  # fmt: skip

    @property
    def counts(self) -> Iterator[str]:
        """Lines that say how much each shows."""
        for place, one in self._each():
            shown = (
                plural(one.rules or 0, "PostSyncRule") if isinstance(one, TenantsProbe)
                else plural(one.applications or 0, "Application")
            )  # fmt: skip
            yield f"{place}: {one.name}: {shown}"

    def as_json(self) -> dict[str, Any]:
        """Return what was tried, for scripts."""
        tried = {sender: [asdict(one) for one in probes] for sender, probes in self.tried.items()}
        return {"connections": tried} | ({"tenants": asdict(self.tenants)} if self.tenants else {})

    def _each(self) -> Iterator[tuple[str, Probe | TenantsProbe]]:
        for sender, probes in self.tried.items():
            for one in probes:
                yield f"argocd.{sender}", one
        if self.tenants is not None:
            yield "tenants", self.tenants


def check_connections(settings: Settings, outbound: Outbound) -> CheckedConnections:
    """Try every connection of the settings; nothing is changed anywhere."""
    connections = build_connections(settings, outbound)
    found = CheckedConnections()
    for sender in connections.senders:
        connection = connections.for_sender(sender)
        assert connection is not None, sender  # noqa: S101 it is one of them
        found.tried[sender] = probe(connection, time.monotonic() + PATIENCE)
    if settings.tenants is not None:
        server = to_tenants(settings.tenants, settings, outbound, READING)
        until = time.monotonic() + PATIENCE
        found.tenants = probe_tenants(server, tenants_of(settings.tenants), until)
    return found


def sender_warnings(settings: Settings) -> Iterator[Problem]:
    """Yield the connections of which there is no token; where there are no tokens nobody knows."""
    senders = sorted({one.name for one in read_folder(settings.home / "senders").tokens})
    for sender, why in unknown_senders(settings, senders).items() if senders else ():
        yield Problem(f"argocd.{sender}", 0, 0, "", why)


def _problem(place: str, name: str, why: str) -> Problem:
    message = why if why.startswith(name) else f"{name}: {why}"
    return Problem(place, 0, 0, "", message)
