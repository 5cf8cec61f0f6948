"""Which syncs the rules of a tenant see, and so what of others it can ever learn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from receiver.core.model import Sync
from receiver.notification.own import OWN_CHANNEL
from receiver.rules.tenants.names import tenant_of


@dataclass(frozen=True, slots=True)
class Reach:
    """What of a sync decides which tenants see it: whose it is, and where it goes to.

    ``tenant`` is of a notification of our own: the namespace that the rule belongs to whose plan it
    is about, "" for the operator's. None where it is Argo CD's.
    """

    sender: str
    project: str
    cluster: str
    namespace: str
    tenant: str | None = None

    @classmethod
    def of(cls, sync: Sync) -> Reach:
        """Take it from a sync."""
        application = sync.application
        destination = application.destination
        cluster = destination.server or destination.name
        tenant = tenant_of(sync.held.rule) if sync.channel == OWN_CHANNEL else None
        return cls(sync.sender, application.project, cluster, destination.namespace, tenant)

    @property
    def keys(self) -> tuple[str, str]:
        """Under which the rules that may see it are found."""
        return f"namespace {self.namespace}", f"project {self.project}"

    def __str__(self) -> str:
        cluster, namespace = self.cluster or "unknown", self.namespace or "unknown"
        sender = f", from sender {self.sender}" if self.sender else ""
        about = "" if self.tenant is None else f", about a plan of {self.tenant or 'the operator'}"
        project = self.project or "unknown"
        return f"namespace {namespace} of {cluster}, project {project}{sender}{about}"


@dataclass(frozen=True, slots=True)
class Sight:
    """What the rules of one namespace see.

    Attributes:
        namespace: syncs of Applications with this destination; "" for none.
        projects: and those of Applications of these projects, wherever they go.
        clusters: how Applications name the cluster of the namespace.
        senders: whose Applications these are; empty: every sender's.
    """

    namespace: str = ""
    projects: frozenset[str] = frozenset()
    clusters: frozenset[str] = frozenset()
    senders: frozenset[str] = frozenset()

    def takes(self, reach: Reach) -> bool:
        """Whether a sync of this reach is seen."""
        if self.senders and reach.sender not in self.senders:
            return False
        if reach.tenant is not None and reach.tenant != self.namespace:
            return False
        if reach.project in self.projects:
            return True
        return (
            bool(self.namespace)
            and reach.namespace == self.namespace
            and reach.cluster in self.clusters
        )

    @property
    def keys(self) -> Iterator[str]:
        """One of which each sync has that is seen, see `Reach.keys`."""
        if self.namespace:
            yield f"namespace {self.namespace}"
        yield from (f"project {project}" for project in self.projects)

    def __str__(self) -> str:
        if not self.namespace:
            return "nothing: its namespace may have no rules"
        places = [f"namespace {self.namespace} of {' or '.join(sorted(self.clusters))}"]
        places += [f"project {project}" for project in sorted(self.projects)]
        senders = f", from sender {' or '.join(sorted(self.senders))}" if self.senders else ""
        return ", or ".join(places) + senders


BLIND = Sight()
"""Of a namespace that may have no rules."""
