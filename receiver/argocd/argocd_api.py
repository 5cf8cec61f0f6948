"""Argo CD's API as a connection: Applications, and live objects of every cluster that they go to.

https://argo-cd.readthedocs.io/en/stable/developer-guide/api-docs/; paths and parameters are those
of server/application/application.proto.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from receiver.argocd.application_json import (
    application_of,
    json_object,
    mapping,
    mappings,
    text,
)
from receiver.argocd.argocd_live import LiveByArgoCd
from receiver.argocd.argocd_paths import application_path, application_query, refused
from receiver.argocd.listed_health import listed_health
from receiver.argocd.object_watch import SHORTEST
from receiver.argocd.objects import (
    ApplicationState,
    ApplicationSummary,
    LiveObject,
    ObjectRef,
    Unreadable,
)
from receiver.argocd.room import Room
from receiver.argocd.server import Server
from receiver.argocd.summaries import one_summary
from receiver.kubernetes.health import Health

NEEDED = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "metadata.labels",
    "metadata.ownerReferences",
    "spec.project",
    "status.sync.status",
    "status.sync.revision",
    "status.sync.revisions",
    "status.operationState.phase",
    "status.operationState.startedAt",
    "status.operationState.finishedAt",
    "status.operationState.syncResult.revision",
    "status.operationState.syncResult.revisions",
    "status.operationState.operation.sync.revision",
    "status.operationState.operation.sync.revisions",
    "status.operationState.operation.sync.dryRun",
    "status.history.deployStartedAt",
)
"""What `summary_of` reads: of a watch, Argo CD leaves out the rest."""
NAMES = ("metadata.name", "metadata.namespace")
"""A list has of the fields that it is asked for only those that Argo CD's
server/application/forwarder_overwrite.go names: no uid, and no revision."""
TOLD_WITHIN = 20.0
"""Seconds in which a watch tells all that a list names, unless some of it is gone meanwhile."""
ANEW = 60.0
"""Seconds after which a watch begins anew with all Applications: between what it tells first and
what it watches Argo CD may miss a change."""
PAUSE = 1.0
"""Seconds before a new beginning after a cut."""


@dataclass(frozen=True, slots=True)
class ArgoCdApi:
    """A connection by Argo CD's API alone; see `receiver.argocd.connection.Connection`."""

    server: Server

    @property
    def name(self) -> str:
        """For messages."""
        return self.server.name

    def application(
        self, namespace: str, name: str, deadline: float
    ) -> ApplicationState | Unreadable:
        """Return an Application as it is now."""
        answer = self.server.get(application_path(name), deadline, application_query(namespace))
        return refused(self.server, answer) or application_of(self.server.json(answer))

    def applications(self, deadline: float) -> list[ApplicationSummary]:
        """Return every Application that the account may get."""
        fields = ",".join(f"items.{one}" for one in NAMES)
        answer = self.server.get("/api/v1/applications", deadline, {"fields": fields})
        if why := refused(self.server, answer):
            raise self.server.failed(f"Applications cannot be listed: {why.reason}")
        names = {one_summary(app).key for app in mappings(self.server.json(answer), "items")}
        told: dict[str, ApplicationSummary] = {}
        until = min(deadline, time.monotonic() + TOLD_WITHIN)
        with closing(self._watch_once(until, told)) as watch:
            while names - told.keys() and (one := next(watch, None)):
                if one.deleted:
                    names.discard(one.key)
        if missing := names - told.keys():
            raise self.server.failed(f"{len(missing)} of its Applications were not told in time")
        return list(told.values())

    def live(
        self,
        application: ApplicationState,
        refs: Sequence[ObjectRef],
        *,
        deadline: float,
        content: bool = False,
        annotations: Collection[str] | None = (),
    ) -> Mapping[ObjectRef, LiveObject | Unreadable]:
        """Read objects: a few one by one, more of them by one call."""
        keep = Room(content=content, annotations=annotations).keep
        return LiveByArgoCd(self.server, application, deadline, content, keep).read(refs)

    def health(
        self,
        application: ApplicationState,
        refs: Sequence[ObjectRef],
        *,
        deadline: float,  # noqa: ARG002 the API tells it with the Application
    ) -> Mapping[ObjectRef, Health | Unreadable]:
        """Return what Argo CD thinks of the health of objects of an Application of its API."""
        return listed_health(application, refs)

    def watch(self, deadline: float) -> Iterator[ApplicationSummary]:
        """Yield each Application as it is, then each that changes."""
        known: dict[str, ApplicationSummary] = {}
        while deadline - time.monotonic() > SHORTEST:
            until = min(deadline, time.monotonic() + ANEW)
            yield from self._watch_once(until, known)
            if (left := until - time.monotonic()) > 0:
                time.sleep(min(left, PAUSE))
        time.sleep(max(0.0, deadline - time.monotonic()))

    def _watch_once(
        self, until: float, known: dict[str, ApplicationSummary]
    ) -> Generator[ApplicationSummary, None, None]:
        """Yield what differs from ``known``; without a version in the query all come first."""
        fields = ",".join(("result.type", *(f"result.application.{one}" for one in NEEDED)))
        with self.server.stream("/api/v1/stream/applications", until, {"fields": fields}) as told:
            if why := refused(self.server, told.answer):
                raise self.server.failed(f"Applications cannot be watched: {why.reason}")
            for number, line in enumerate(told.lines):
                read = json_object(line)
                if number == 0 and read is None:
                    raise self.server.failed("its watch has no JSON, as a page to sign in")
                result = mapping(read or {}, "result")
                if not result:
                    return  # it says why it ends; a new beginning tells whether that lasts
                deleted = text(result, "type") == "DELETED"
                summary = one_summary(mapping(result, "application"), deleted=deleted)
                before = known.pop(summary.key, None)
                if not deleted:
                    known[summary.key] = summary
                if summary != before:
                    yield summary
