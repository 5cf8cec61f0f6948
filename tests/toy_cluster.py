"""A cluster for tests of those who ask one: what is in it, who asked, and its faults."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from receiver.argocd.connection import ConnectionFailed
from receiver.argocd.objects import (
    ApplicationState,
    ApplicationSummary,
    FieldsManager,
    LiveObject,
    ObjectRef,
    ResourceState,
    Unreadable,
)
from receiver.argocd.room import Room
from receiver.core.model import Json
from receiver.dispatcher.live_facts import LAST_APPLIED
from receiver.kubernetes.health import HEALTHY, Health

CREATED = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class ToyCluster:
    """A connection to a cluster of ConfigMaps, each with when Argo CD last changed it.

    ``failing`` is why nothing can be asked, ``failing_for`` names Applications of which that is so;
    ``clock`` what the API server's clock says;
    ``operation`` when the Application's last one began and ended, ``status_times`` the newest time
    in its status and when that was written. An object without one of the ``healths`` is healthy.
    """

    changed_at: dict[str, datetime] = field(default_factory=dict)
    failing: str = ""
    no_application: str = ""
    clock: datetime | None = None
    healths: dict[str, Health] = field(default_factory=dict)
    operation: tuple[datetime | None, datetime | None] = (None, None)
    status_times: tuple[datetime | None, datetime | None] = (None, None)
    manager: str = "argocd-controller"
    asked: list[tuple[str, list[str]]] = field(default_factory=list)
    name: str = "the cluster of the test"
    listed: list[ApplicationSummary] = field(default_factory=list)
    labels: dict[str, dict[str, str]] = field(default_factory=dict)
    summaries: dict[str, ApplicationSummary] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    kinds: dict[str, tuple[str, str]] = field(default_factory=dict)
    contents: dict[str, dict[str, Json]] = field(default_factory=dict)
    failing_for: set[str] = field(default_factory=set)

    def application(
        self,
        namespace: str,
        name: str,
        deadline: float,  # noqa: ARG002 as the connection has it
    ) -> ApplicationState | Unreadable:
        """An Application that all the ConfigMaps belong to."""
        if self.failing or name in self.failing_for:
            raise ConnectionFailed(self.failing or f"{name} fails")
        if self.no_application:
            return Unreadable(self.no_application)
        summary = self.summaries.get(name) or ApplicationSummary(
            namespace, name, "u-1", "web", {}, "Succeeded", *self.operation
        )
        resources = [ResourceState(self.ref(one), "Synced", "") for one in self.changed_at]
        return ApplicationState(
            summary, None, "https://kubernetes", tuple(resources), (), {}, *self.status_times
        )

    def ref(self, name: str) -> ObjectRef:
        """What an Application says of one of its objects."""
        kind, namespace = self.kinds.get(name, ("ConfigMap", "shop"))
        return ObjectRef("", "v1", kind, namespace, name)

    def applications(self, deadline: float) -> list[ApplicationSummary]:  # noqa: ARG002 see above
        """Those that the test has listed."""
        self.asked.append(("all", []))
        if self.failing:
            raise ConnectionFailed(self.failing)
        return self.listed

    def live(
        self,
        application: ApplicationState,
        refs: Sequence[ObjectRef],
        *,
        deadline: float,  # noqa: ARG002 see above
        content: bool = False,
        annotations: Collection[str] | None = (),
    ) -> Mapping[ObjectRef, LiveObject | Unreadable]:
        """What is there, and who asked for it."""
        self.asked.append((application.summary.name, [ref.name for ref in refs]))
        found = {ref: self._object(ref, content=content) for ref in refs}
        keep = Room(content=content, annotations=annotations).keep
        return {
            ref: keep(one) if isinstance(one, LiveObject) else one for ref, one in found.items()
        }

    def health(
        self,
        application: ApplicationState,
        refs: Sequence[ObjectRef],
        *,
        deadline: float,
    ) -> Mapping[ObjectRef, Health | Unreadable]:
        """How they are."""
        found = self.live(application, refs, deadline=deadline)
        return {
            ref: one if isinstance(one, Unreadable) else self.healths.get(ref.name, HEALTHY)
            for ref, one in found.items()
        }

    def watch(self, deadline: float) -> Iterator[ApplicationSummary]:  # noqa: ARG002 see above
        """Nothing."""
        yield from ()

    def _object(self, ref: ObjectRef, *, content: bool) -> LiveObject | Unreadable:
        at = self.changed_at.get(ref.name)
        if at is None:
            return Unreadable("it is not there any more", gone=True)
        managers = (
            FieldsManager(self.manager, "Apply", "", at),
            FieldsManager("kube-controller-manager", "Update", "status", datetime.now(UTC)),
        )
        labels = self.labels.get(ref.name, {})
        metadata: dict[str, Json] = {"namespace": self.ref(ref.name).namespace}
        whole = {"metadata": metadata, **self.contents.get(ref.name, {})} if content else None
        return LiveObject(
            ref, "u", CREATED, managers, labels,
            {"note": ref.name, LAST_APPLIED: "c2VjcmV0", **self.annotations},
            self.name, self.clock,
            content=whole,
        )  # fmt: skip
