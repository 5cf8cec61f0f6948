"""The connections of all senders."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from receiver.argocd.argocd_api import ArgoCdApi
from receiver.argocd.connection import Connection
from receiver.argocd.kubernetes_api import KubernetesApi
from receiver.argocd.objects import (
    ApplicationState,
    ApplicationSummary,
    LiveObject,
    ObjectRef,
    Unreadable,
)
from receiver.kubernetes.health import Health


@dataclass(frozen=True, slots=True)
class Both:
    """A connection by both: the API server where it can serve, Argo CD's API for other clusters."""

    kubernetes: KubernetesApi
    argocd: ArgoCdApi

    @property
    def name(self) -> str:
        """For messages."""
        return f"{self.kubernetes.name} with {self.argocd.name}"

    def application(
        self, namespace: str, name: str, deadline: float
    ) -> ApplicationState | Unreadable:
        """Return an Application as it is now."""
        return self.kubernetes.application(namespace, name, deadline)

    def applications(self, deadline: float) -> list[ApplicationSummary]:
        """Return every Application of the namespaces."""
        return self.kubernetes.applications(deadline)

    def live(
        self,
        application: ApplicationState,
        refs: Sequence[ObjectRef],
        *,
        deadline: float,
        content: bool = False,
        annotations: Collection[str] | None = (),
    ) -> Mapping[ObjectRef, LiveObject | Unreadable]:
        """Read objects of whichever cluster the Application goes to."""
        way = self.kubernetes if self.kubernetes.serves(application) else self.argocd
        return way.live(
            application, refs, deadline=deadline, content=content, annotations=annotations
        )

    def health(
        self, application: ApplicationState, refs: Sequence[ObjectRef], *, deadline: float
    ) -> Mapping[ObjectRef, Health | Unreadable]:
        """Judge objects of the server's own cluster; Argo CD's API tells it of others."""
        if self.kubernetes.serves(application):
            return self.kubernetes.health(application, refs, deadline=deadline)
        of = application.summary
        told = self.argocd.application(of.namespace, of.name, deadline)
        if isinstance(told, Unreadable):
            return dict.fromkeys(refs, told)
        return self.argocd.health(told, refs, deadline=deadline)

    def watch(self, deadline: float) -> Iterator[ApplicationSummary]:
        """Yield each Application as it is, then each that changes."""
        return self.kubernetes.watch(deadline)


class Connections:
    """Which connection each sender has, by the name of its token."""

    def __init__(self, by_sender: Mapping[str, Connection]) -> None:
        self._by_sender = dict(by_sender)

    @property
    def senders(self) -> Sequence[str]:
        """The senders that have one."""
        return tuple(self._by_sender)

    def for_sender(self, sender: str) -> Connection | None:
        """Return a sender's connection, None where it has none."""
        return self._by_sender.get(sender)
