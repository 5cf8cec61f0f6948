"""Applications for tests of those who watch them: as the test puts them, and with its faults."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from receiver.argocd.application_json import application_of, summary_of
from receiver.argocd.connection import ConnectionFailed
from receiver.argocd.objects import (
    ApplicationState,
    ApplicationSummary,
    LiveObject,
    ObjectRef,
    Unreadable,
)
from receiver.core.model import rfc3339
from receiver.kubernetes.health import Health

Json = dict[str, Any]


def application(
    name: str,
    *resources: Json,
    started: datetime,
    finished: datetime | None,
    phase: str = "Succeeded",
    dry_run: bool = False,
    history: Sequence[datetime] = (),
) -> Json:
    """An Application as it is after an operation, or within one; its history by starts."""
    operation = {"sync": {"revision": "9f1c2ab", "dryRun": dry_run}}
    state: Json = {"phase": phase, "startedAt": rfc3339(started), "operation": operation}
    if finished:
        state["finishedAt"] = rfc3339(finished)
    state["syncResult"] = {"revision": "9f1c2ab", "resources": list(resources)}
    deployed = [
        {"id": number, "revision": "9f1c2ab", "deployStartedAt": rfc3339(one),
         "deployedAt": rfc3339(one), "initiatedBy": {"automated": True}}
        for number, one in enumerate(history)
    ]  # fmt: skip
    return {
        "kind": "Application",
        "metadata": {"name": name, "namespace": "argocd", "uid": f"u-{name}"},
        "spec": {"project": "web", "destination": {"server": "https://kubernetes"},
                 "source": {"helm": {"values": "password: hunter2"}}},
        "status": {"operationState": state, "history": deployed},
    }  # fmt: skip


@dataclass
class ToyArgoCd:
    """A connection to Applications.

    ``failing`` is why nothing can be asked, ``forbidden`` why no Application can be read,
    or none of ``forbidden_for`` where that has any;
    ``read`` are those that were read whole; ``over`` ends what watches,
    ``cut`` each watch when it has told all.
    """

    apps: dict[str, Json] = field(default_factory=dict)
    failing: str = ""
    forbidden: str = ""
    forbidden_for: set[str] = field(default_factory=set)
    read: list[str] = field(default_factory=list)
    watches: int = 0
    over: bool = False
    cut: bool = False
    name: str = "Argo CD of the test"

    def put(self, app: Json) -> None:
        """Make an Application, or change it."""
        self.apps[app["metadata"]["name"]] = app

    def remove(self, name: str) -> None:
        del self.apps[name]

    def application(
        self, namespace: str, name: str, deadline: float
    ) -> ApplicationState | Unreadable:
        self._ask(deadline)
        self.read.append(f"{namespace}/{name}")
        if self.forbidden and name in (self.forbidden_for or [name]):
            return Unreadable(self.forbidden)
        if name not in self.apps:
            return Unreadable("it is not there", gone=True)
        return application_of(self.apps[name])

    def applications(self, deadline: float) -> list[ApplicationSummary]:
        self._ask(deadline)
        return [summary_of(app) for app in self.apps.values()]

    def live(
        self,
        application: ApplicationState,
        refs: Sequence[ObjectRef],
        *,
        deadline: float,
        content: bool = False,
        annotations: Collection[str] | None = (),
    ) -> Mapping[ObjectRef, LiveObject | Unreadable]:
        raise NotImplementedError

    def health(
        self, application: ApplicationState, refs: Sequence[ObjectRef], *, deadline: float
    ) -> Mapping[ObjectRef, Health | Unreadable]:
        raise NotImplementedError

    def watch(self, deadline: float) -> Iterator[ApplicationSummary]:
        """All as they are, then what is put."""
        self.watches += 1
        told: dict[str, ApplicationSummary] = {}
        while time.monotonic() < deadline and not self.over:
            self._ask(deadline)
            now = {name: summary_of(app) for name, app in list(self.apps.items())}
            yield from (replace(one, deleted=True) for key, one in told.items() if key not in now)
            yield from (one for key, one in now.items() if one != told.get(key))
            told = now
            if self.cut:
                raise ConnectionFailed("the connection was cut")
            time.sleep(0.02)

    def _ask(self, deadline: float) -> None:
        if self.failing or time.monotonic() > deadline:
            raise ConnectionFailed(self.failing or "no time is left")
