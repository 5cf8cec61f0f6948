"""An API server as a connection: Applications in named namespaces, and the objects of its cluster.

https://kubernetes.io/docs/reference/using-api/api-concepts/ has lists and watches.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from receiver.argocd.application_json import application_of
from receiver.argocd.discovery import Discovery
from receiver.argocd.kubernetes_answers import refused
from receiver.argocd.kubernetes_live import LiveByKubernetes
from receiver.argocd.listed_health import in_its_list, listed_health
from receiver.argocd.live_json import judge
from receiver.argocd.object_watch import ObjectWatch
from receiver.argocd.objects import (
    ApplicationState,
    ApplicationSummary,
    LiveObject,
    ObjectRef,
    Unreadable,
)
from receiver.argocd.pages import pages
from receiver.argocd.room import Room
from receiver.argocd.server import Server
from receiver.argocd.summaries import one_summary
from receiver.kubernetes.health import Health
from receiver.kubernetes.paths import path_of

TURN = 2.0
"""Seconds for which one of several namespaces is watched; the others miss nothing meanwhile."""
VERSION, PLURAL = "argoproj.io/v1alpha1", "applications"


@dataclass(frozen=True, slots=True)
class KubernetesApi:
    """A connection by an API server alone; see `receiver.argocd.connection.Connection`.

    Attributes:
        server: the API server.
        namespaces: those of the Applications.
        destinations: how Applications name this server's cluster.
    """

    server: Server
    namespaces: Sequence[str]
    destinations: Sequence[str]
    discovery: Discovery = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "discovery", Discovery(self.server))

    @property
    def name(self) -> str:
        """For messages."""
        return self.server.name

    def serves(self, application: ApplicationState) -> bool:
        """Whether an Application's objects are in this server's cluster."""
        return application.destination.rstrip("/") in self.destinations

    def application(
        self, namespace: str, name: str, deadline: float
    ) -> ApplicationState | Unreadable:
        """Return an Application as it is now; without a namespace the first one of that name."""
        if namespace and namespace not in self.namespaces:
            return Unreadable(f"namespace {namespace} is none of the connection's")
        found: ApplicationState | Unreadable = Unreadable("the connection names no namespace")
        for one in [namespace] if namespace else self.namespaces:
            answer = self.server.get(path_of(VERSION, PLURAL, one, name), deadline)
            found = refused(self.server, answer) or application_of(self.server.json(answer))
            if isinstance(found, ApplicationState):
                break
        return found

    def applications(self, deadline: float) -> list[ApplicationSummary]:
        """Return every Application of the namespaces."""
        found: dict[str, ApplicationSummary] = {}
        for namespace in self.namespaces:
            for page in pages(self.server, path_of(VERSION, PLURAL, namespace), deadline):
                found |= {one.key: one for one in map(one_summary, page.items)}
        return list(found.values())

    def live(
        self,
        application: ApplicationState,
        refs: Sequence[ObjectRef],
        *,
        deadline: float,
        content: bool = False,
        annotations: Collection[str] | None = (),
    ) -> Mapping[ObjectRef, LiveObject | Unreadable]:
        """Read objects of this server's cluster: a few one by one, more of a kind by a list."""
        if not self.serves(application):
            return dict.fromkeys(refs, self._elsewhere(application))
        keep = Room(content=content, annotations=annotations).keep
        return LiveByKubernetes(self.server, self.discovery, deadline, content, keep).read(refs)

    def health(
        self, application: ApplicationState, refs: Sequence[ObjectRef], *, deadline: float
    ) -> Mapping[ObjectRef, Health | Unreadable]:
        """Judge objects of this server's cluster; of others the Application may tell it."""
        if not self.serves(application) and in_its_list(application):
            return listed_health(application, refs)
        if not self.serves(application):
            return dict.fromkeys(refs, self._elsewhere(application))
        judging = LiveByKubernetes(self.server, self.discovery, deadline, content=True, keep=judge)
        return judging.read(refs)

    def _elsewhere(self, application: ApplicationState) -> Unreadable:
        where = application.destination or "which it does not name"
        return Unreadable(f"its cluster, {where}, is not that of {self.name}")

    def watch(self, deadline: float) -> Iterator[ApplicationSummary]:
        """Yield each Application as it is, then each that changes; each namespace in turn."""
        paths = [path_of(VERSION, PLURAL, namespace) for namespace in self.namespaces]
        watches = [ObjectWatch(self.server, path, "Applications", one_summary) for path in paths]
        turn = TURN if len(watches) > 1 else deadline - time.monotonic()
        while time.monotonic() < deadline:
            for watch in watches:
                for one, gone in watch.follow(min(deadline, time.monotonic() + turn)):
                    yield replace(one, deleted=True) if gone else one
