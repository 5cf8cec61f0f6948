"""Syncs judged by the live objects of a real API server, from a notification to the action."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from applications import Applications
from argocd_server import AWAY, SLOW, ArgoCd
from connected_service import connection, told
from kube import Json, Kube
from notifications import notification, resource
from service import TOKEN as SERVICE_TOKEN
from service import Service, serving, wait_for

from receiver.core.model import rfc3339

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("kubernetes-services")]

RULES = """
version: 1
rules:
- name: tell
  match: {resources: [{kind: ConfigMap, namespace: NAMESPACE}]}
  actions: [{uses: log.message, with: {text: "${{ resource.name }}"}}]
"""
WAYS = {
    "client": ("application/merge-patch+json", "argocd-controller", "configured"),
    "server": ("application/apply-patch+yaml", "argocd-controller", "serverside-applied"),
    "replace": ("", "argocd-application-controller", "replaced"),
}
"""How Argo CD applies: the kind of patch, its name as a manager, and what it says of it."""


class Controller:
    """Applies ConfigMaps of one Application as Argo CD's controller does, by the same requests."""

    def __init__(self, kube: Kube, name: str) -> None:
        self.kube = kube
        self.namespace = kube.namespace(name)
        self.apps = Applications(kube, kube.namespace(f"{name}-argocd"))
        self.entries: dict[str, Json] = {}

    def apply(self, name: str, way: str, data: dict[str, str]) -> None:
        """Apply one; its entry in the sync's list is what the controller says of it."""
        kind, manager, verb = WAYS[way]
        path = f"/api/v1/namespaces/{self.namespace}/configmaps"
        manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
        tree: Json = {**manifest, "data": data}
        if way == "server":
            query = f"?fieldManager={manager}&force=true"
            self.kube.ask("PATCH", f"{path}/{name}{query}", tree, kind)
        elif self.kube.find(f"{path}/{name}") is None:
            self.kube.ask("POST", f"{path}?fieldManager={manager}", tree)
        elif way == "client":
            self.kube.ask("PATCH", f"{path}/{name}?fieldManager={manager}", tree, kind)
        else:
            self.kube.ask("PUT", f"{path}/{name}?fieldManager={manager}", tree)
        self.entries[name] = resource(
            name, f"configmap/{name} {verb}", namespace=self.namespace
        )  # fmt: skip

    def live(self) -> list[Json]:
        path = f"/api/v1/namespaces/{self.namespace}/configmaps"
        found = self.kube.items(path)
        return [
            {**one, "apiVersion": "v1", "kind": "ConfigMap"}
            for one in found
            if one["metadata"]["name"] in self.entries
        ]

    def sync(self, *changed: str, listed: bool = True, **state: Any) -> bytes:
        """Apply everything, these with other data than before; the notification of it."""
        started = now()
        for name in self.entries:
            data = {"a": rfc3339(started) if name in changed else "1"}
            self.apply(name, name.split("-")[0], data)
        finished = now()
        times = {"started": rfc3339(started), "finished": rfc3339(finished)}
        reconciled = times["finished"]
        self.apps.put("shop", resources=self.live(), reconciled=reconciled, **times)
        entries = list(self.entries.values()) if listed else []
        told = json.loads(notification(*entries, finished=finished, **state))
        told["operationState"]["startedAt"] = times["started"]
        told["application"]["namespace"] = self.apps.namespace
        return json.dumps(told).encode()


def now() -> datetime:
    """In whole seconds, as Argo CD tells the times."""
    return datetime.now(UTC).replace(microsecond=0)


@pytest.fixture(params=["kubernetes", "argocd"])
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def controller(kube: Kube, request: pytest.FixtureRequest) -> Controller:
    """An Application whose first sync was some seconds ago."""
    made = Controller(kube, f"verify-{abs(hash(request.node.name)) % 10**8}")
    for name in ("client-1", "client-2", "server-1", "server-2", "replace-1", "replace-2"):
        made.apply(name, name.split("-")[0], {"a": "1"})
    began = now()
    wait_for(lambda: now() > began + timedelta(seconds=1), 5, "the clock to go on")
    return made


@contextmanager
def connected(
    home: Path, controller: Controller, argocd: ArgoCd, way: str, **settings: str
) -> Iterator[Service]:
    """A service whose sender has a connection of one kind."""
    own = connection(home, controller.kube, controller.apps.namespace, argocd, way)
    settings["argocd"] = json.dumps({"test": own})
    rules = RULES.replace("NAMESPACE", controller.namespace)
    with serving(home, rules, log=None, **settings) as service:
        yield service


def acted_on(service: Service, sync: str) -> list[str]:
    """The resources that the rule has acted on."""
    story = service.ended(sync, 60)
    runs = [run for plan in story["plans"] for run in plan["runs"]]
    return sorted(run["target"].rpartition("/")[2] for run in runs)


def test_only_what_really_changed_is_acted_on(
    tmp_path: Path, controller: Controller, argocd: ArgoCd, way: str
) -> None:
    """Whatever the messages say: client-side, server-side, and by Replace."""
    changed = ["client-2", "replace-2", "server-1"]
    with connected(tmp_path, controller, argocd, way) as service:
        sync = told(service, controller.sync(*changed))
        assert acted_on(service, sync) == changed
        story = service.story(sync)
        names = [event["event"] for event in story["events"]]
        assert names[:4] == [
            "notification.accepted", "sync.verifying", "sync.verified", "sync.planned",
        ]  # fmt: skip
        assert story["changed"] == 3
        assert "before this operation" in json.dumps(story["explanation"])


def test_what_a_retry_does_not_list_is_acted_on(
    tmp_path: Path, controller: Controller, argocd: ArgoCd, way: str
) -> None:
    """Its first attempt changed it; the second did not list what was in sync by then."""
    state = {"operation": {"sync": {"syncOptions": ["ApplyOutOfSyncOnly=true"]}}, "retryCount": 1}
    with connected(tmp_path, controller, argocd, way) as service:
        sync = told(service, controller.sync("server-2", listed=False, **state))
        assert acted_on(service, sync) == ["server-2"]


def test_after_the_deadline_it_goes_on_without(
    tmp_path: Path, controller: Controller, argocd: ArgoCd
) -> None:
    """Argo CD is away for good; then `onUnknownChange` decides."""
    argocd.fault = AWAY
    with connected(tmp_path, controller, argocd, "argocd", verify_for="3") as service:
        sync = told(service, controller.sync("server-1"))
        assert len(acted_on(service, sync)) == 6
        story = service.story(sync)
        (event,) = [one for one in story["events"] if one["event"] == "sync.unverified"]
        assert "Argo CD's API" in event["reason"]
        assert "perhaps changed (its object cannot tell: " in json.dumps(story["explanation"])


def test_a_slow_argo_cd_holds_up_nobody_else(
    tmp_path: Path, controller: Controller, argocd: ArgoCd
) -> None:
    """It gives no answer at all; what another sender tells is acted upon meanwhile."""
    argocd.fault = SLOW
    (tmp_path / "senders").mkdir()
    (tmp_path / "senders/other").write_text(f"{SERVICE_TOKEN}other")
    with connected(tmp_path, controller, argocd, "argocd") as service:
        body = controller.sync("server-1")
        waits = told(service, body)
        wait_for(lambda: bool(argocd.asked), 30, "the question to Argo CD")
        status, answer = service.request("POST", "/v1/notifications", body, role="other")
        assert status == 202
        assert len(acted_on(service, answer["sync"])) == 6
        assert service.story(waits)["state"] == "verifying"


def test_a_killed_process_goes_on(tmp_path: Path, controller: Controller, argocd: ArgoCd) -> None:
    """What waited is verified by the next one, and acted upon once."""
    argocd.fault = 503
    with connected(tmp_path, controller, argocd, "argocd") as service:
        sync = told(service, controller.sync("server-1"))
        wait_for(lambda: "503" in service.story(sync)["reason"], 30, "its reason")
        assert service.story(sync)["state"] == "verifying"
        service.kill()
        argocd.fault = None
        service.start()
        assert acted_on(service, sync) == ["server-1"]
        states = service.query("SELECT name FROM audit_events WHERE name LIKE 'sync.%verif%'")
        assert states == [("sync.verifying",), ("sync.verified",)]
