"""What is read: Applications, and the live objects of the clusters that they go to.

Times are those of Argo CD and of the API servers, in whole seconds and aware UTC; none is ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from receiver.core.model import Json


@dataclass(frozen=True, slots=True, order=True)
class ObjectRef:
    """What names an object of a cluster.

    A sync's list names the Application's destination as the namespace of what is in none, too:
    where the kind has no namespaces, ``namespace`` counts for nothing.

    Attributes:
        group: "" for that of ConfigMaps and Services.
        version: as it was applied: ``v1``.
        kind: ``Deployment``.
        namespace: "" for what is in none.
        name: the object's.
    """

    group: str
    version: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return (
            f"{self.kind} {self.namespace}/{self.name}"
            if self.namespace
            else (f"{self.kind} {self.name}")
        )

    @property
    def api_version(self) -> str:
        """As in manifests: ``v1``, ``apps/v1``."""
        return f"{self.group}/{self.version}" if self.group else self.version


@dataclass(frozen=True, slots=True)
class FieldsManager:
    """One entry of ``metadata.managedFields``: who has set fields, and when last a change.

    Attributes:
        manager: ``argocd-controller``, ``kubectl-client-side-apply``, ...
        operation: ``Apply`` or ``Update``.
        subresource: ``status``, ``scale``; "" for the object itself.
        time: of its last change; None where the entry has none.
    """

    manager: str
    operation: str
    subresource: str
    time: datetime | None


@dataclass(frozen=True, slots=True)
class LiveObject:
    """An object as its cluster has it.

    Attributes:
        ref: as it was asked for.
        uid: another one under the same name is another object.
        created: its creationTimestamp.
        managers: of its fields, all of them.
        labels: its own.
        annotations: its own, without kubectl's copy of what was applied.
        read_from: the connection's name, for messages.
        read_at: what the clock of the API server said when it was read; None where it is not
            known, as through Argo CD.
        content: the whole object, without managedFields, where it was asked for; of a Secret
            never the values.
    """

    ref: ObjectRef
    uid: str
    created: datetime | None
    managers: tuple[FieldsManager, ...]
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    read_from: str
    read_at: datetime | None = None
    content: Mapping[str, Json] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Why something cannot be read, for people.

    Attributes:
        reason: a part of a sentence: ``it is not there any more``.
        gone: it is known not to be there.
        again: asked once more, it may be told.
    """

    reason: str
    gone: bool = False
    again: bool = False


@dataclass(frozen=True, slots=True)
class ApplicationSummary:
    """What a list or a watch tells of an Application.

    Attributes:
        namespace: of the Application itself: ``argocd``.
        name: of the Application.
        uid: another one under the same name is another Application.
        project: its AppProject.
        labels: its own.
        phase: of its last operation: ``Running``, ``Succeeded``, ...; "" before the first.
        started_at: of its last operation.
        finished_at: of its last operation; None while it runs.
        dry_run: its last operation is a dry run.
        deployed: when the operations of its history started, oldest first.
        deleted: a watch tells that it is gone.
        operated: the revisions of its last operation, one for each source.
        synced: ``Synced``, ``OutOfSync`` or ``Unknown``, compared with ``revisions``.
        revisions: those that it was last compared with, one for each source.
        application_set: the ApplicationSet that made it; "" where none did.
    """

    namespace: str
    name: str
    uid: str
    project: str
    labels: Mapping[str, str]
    phase: str
    started_at: datetime | None
    finished_at: datetime | None
    dry_run: bool = False
    deployed: tuple[datetime, ...] = ()
    deleted: bool = False
    operated: tuple[str, ...] = ()
    synced: str = ""
    revisions: tuple[str, ...] = ()
    application_set: str = ""

    @property
    def key(self) -> str:
        """``namespace/name``."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class ResourceState:
    """One entry of ``status.resources``: what Argo CD thinks of a resource.

    Attributes:
        ref: ``namespace`` is "" for what is in none.
        status: ``Synced``, ``OutOfSync`` or ``Unknown``.
        health: ``Healthy``, ``Progressing``, ``Degraded``, ``Suspended``, ``Missing``,
            ``Unknown``; "" where Argo CD does not judge its kind.
        health_message: why, where Argo CD says it.
    """

    ref: ObjectRef
    status: str
    health: str
    health_message: str = ""


@dataclass(frozen=True, slots=True)
class Deployment:
    """One entry of ``status.history``: an operation that succeeded and was no dry run.

    Attributes:
        id: counts up.
        revision: of the source; of several sources those, with a comma between them.
        started_at: when its operation started.
        deployed_at: when it was done.
        initiated_by: the user's name, ``automated``; "" where it is not known.
    """

    id: int
    revision: str
    started_at: datetime | None
    deployed_at: datetime | None
    initiated_by: str = ""


@dataclass(frozen=True, slots=True)
class ApplicationState:
    """An Application as it is now.

    Attributes:
        summary: what a list tells of it, too.
        reconciled_at: when Argo CD last compared it with its cluster.
        destination: the API server's address, or the cluster's name where that is all it has.
        resources: all that belongs to it now, listed in the operation or not.
        history: oldest first, as many as the Application keeps (10 by default).
        body: the Application without managedFields, as
            `receiver.notification.parse` takes it.
        stamped_at: the newest time that Argo CD's controller has written into the status, by its
            clock.
        written_at: when the status was last changed, by the clock of the API server that has it;
            None where it is not told. No write is older than what it writes, so this one is the
            older of the two only where the clocks differ.
    """

    summary: ApplicationSummary
    reconciled_at: datetime | None
    destination: str
    resources: tuple[ResourceState, ...]
    history: tuple[Deployment, ...]
    body: Mapping[str, Json] = field(repr=False)
    stamped_at: datetime | None = None
    written_at: datetime | None = None
