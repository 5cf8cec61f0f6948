"""Operations of which no notification comes, in a running service beside a real API server."""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from applications import GROUP, Applications
from argocd_server import AWAY, HALF, ArgoCd
from connected_service import connection as connection_of
from kube import Json, Kube
from notifications import notification, resource
from service import TELL, Service, wait_for

from receiver.core.model import rfc3339

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("kubernetes-services")]

PATIENCE = 60


class Controller:
    """Ends operations of Applications as Argo CD's controller does; nobody notifies of them."""

    def __init__(self, kube: Kube) -> None:
        self.project = f"lost-{time.monotonic_ns()}"
        self.apps = Applications(kube, kube.namespace(self.project))
        self.history: dict[str, list[Json]] = {}

    def sync(self, name: str, *, ago: float = 0) -> Json:
        """End an operation that changed a ConfigMap of the Application's name; its times."""
        end = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=ago)
        times = {"startedAt": rfc3339(end - timedelta(seconds=2)), "finishedAt": rfc3339(end)}
        history = self.history.setdefault(name, [])
        history.append({
            "id": len(history), "revision": "9f1c2ab", "deployStartedAt": times["startedAt"],
            "deployedAt": times["finishedAt"], "source": {"repoURL": "https://git.example.com"},
        })  # fmt: skip
        if self.apps.kube.find(self.apps.path(name)) is None:
            self.apps.put(name, project=self.project, phase="Running", finished="")
        state = {
            **times,
            "phase": "Succeeded",
            "operation": {"sync": {"source": {"helm": {"values": "password: hunter2"}}}},
            "syncResult": {"revision": "9f1c2ab", "resources": [resource(name)]},
        }
        self.apps.change(name, {"operationState": state, "history": history})
        return times


@pytest.fixture
def controller(kube: Kube) -> Controller:
    return Controller(kube)


@pytest.fixture
def argocd(argocd: ArgoCd, controller: Controller) -> ArgoCd:
    argocd.projects = {controller.project}
    return argocd


@contextmanager
def connected(
    home: Path, controller: Controller, argocd: ArgoCd, way: str, **connection: Any
) -> Iterator[Service]:
    """A service whose sender has a connection of one kind."""
    own = connection_of(home, controller.apps.kube, controller.apps.namespace, argocd, way)
    setting = {"test": {"recoverAfter": 2, **own, **connection}}
    service = Service(home, TELL + "  verify: never\n", argocd=json.dumps(setting))
    try:
        service.start()
        yield service
    finally:
        service.kill()


def syncs(service: Service) -> list[str]:
    """The Applications of which there is a sync, in their order."""
    found = service.query("SELECT application FROM syncs ORDER BY application")
    return [name.rpartition("/")[2] for (name,) in found]


def acted_on(service: Service) -> list[str]:
    return sorted(line["text"] for line in service.events("action.message"))


def told(service: Service, name: str, controller: Controller, times: Json) -> str:
    """Notify of an operation; the verdict."""
    body = json.loads(notification(resource(name), application=name, **times))
    body["application"]["namespace"] = controller.apps.namespace
    status, answer = service.request("POST", "/v1/notifications", json.dumps(body).encode())
    assert status == 202
    return str(answer["verdict"])


@pytest.mark.parametrize("way", ["kubernetes", "argocd"])
def test_what_is_not_notified_is_acted_upon_all_the_same(
    tmp_path: Path, controller: Controller, argocd: ArgoCd, way: str
) -> None:
    """Once each: the notification may have come before, come late, or not come at all."""
    with connected(tmp_path, controller, argocd, way) as service:
        times = {name: controller.sync(name) for name in ("before", "late", "never")}
        assert told(service, "before", controller, times["before"]) == "accepted"
        wait_for(lambda: len(syncs(service)) == 3, PATIENCE, "the recovery")
        assert told(service, "late", controller, times["late"]) == "duplicate"
        wait_for(lambda: len(acted_on(service)) == 3, PATIENCE, "the actions")
        assert acted_on(service) == ["before", "late", "never"]
        (line,) = [one for one in service.events("sync.recovered")
                   if one["application"].endswith("/never")]  # fmt: skip
        story = service.story(line["sync"])
        assert story["events"][0]["event"] == "sync.recovered"
        assert story["deliveries"][0]["reason"].startswith("no notification of it had come 2 s")
        bodies = service.query("SELECT body FROM deliveries")
        assert b"hunter2" not in b"".join(zlib.decompress(body) for (body,) in bodies if body)


@pytest.mark.parametrize("way", ["kubernetes", "argocd"])
def test_a_start_catches_up(
    tmp_path: Path, controller: Controller, argocd: ArgoCd, way: str
) -> None:
    """What ended while nobody was there; what ended before this ledger was made is not its."""
    controller.sync("older", ago=600)
    with connected(tmp_path, controller, argocd, way, recoverAfter=0) as service:
        wait_for(lambda: bool(service.events("rules.loaded")), PATIENCE, "its start")
        service.kill()
        time.sleep(2)  # an operation takes as long, and is to begin after the ledger was made
        for _ in range(2):
            controller.sync("twice")
            time.sleep(1.1)
        controller.sync("once")
        service.start()
        wait_for(lambda: len(syncs(service)) == 2, PATIENCE, "the recovery")
        wait_for(lambda: bool(service.events("operation.missed")), PATIENCE, "what is lost")
        service.kill()
        service.start()
        controller.sync("then")
        wait_for(lambda: len(syncs(service)) == 3, PATIENCE, "the next recovery")
        assert syncs(service) == ["once", "then", "twice"]
        (missed,) = service.events("operation.missed")
        assert (missed["application"], missed["id"]) == (f"{controller.apps.namespace}/twice", 0)


@pytest.mark.parametrize("fault", [AWAY, 403, HALF])
def test_an_argo_cd_that_fails_is_told_of_once(
    tmp_path: Path, controller: Controller, argocd: ArgoCd, fault: str | int
) -> None:
    """And what was to be read meanwhile is recovered when it answers again."""
    with connected(tmp_path, controller, argocd, "argocd", recoverAfter=0) as service:
        controller.sync("first")
        wait_for(lambda: len(syncs(service)) == 1, PATIENCE, "the recovery")
        argocd.fault, argocd.faulty = fault, "/applications/"
        controller.sync("second")
        wait_for(lambda: bool(service.events("connection.failed")), PATIENCE, "the failure")
        before = len(argocd.asked)
        wait_for(lambda: len(argocd.asked) > before, PATIENCE, "the next one")
        argocd.fault = None
        wait_for(lambda: len(syncs(service)) == 2, PATIENCE, "the recovery")
        (failed,) = service.events("connection.failed")
        assert failed["use"] == "read an Application"
        assert failed["reason"]
        wait_for(lambda: bool(service.events("connection.restored")), PATIENCE, "the end of it")


def test_a_watch_that_is_cut_again_and_again_loses_nothing(
    tmp_path: Path, controller: Controller, argocd: ArgoCd
) -> None:
    """Each is acted upon once, and the intake takes what comes meanwhile."""
    names = [f"cut-{number:02}" for number in range(10)]
    with connected(tmp_path, controller, argocd, "argocd", recoverAfter=0) as service:
        for name in names:
            controller.sync(name)
            argocd.cut_after = len(controller.apps.kube.items(f"{GROUP}/applications"))
            status, _ = service.request("POST", "/v1/notifications", notification(resource("n")))
            assert status == 202
            time.sleep(0.7)
        wait_for(lambda: syncs(service).count("shop") == 10, PATIENCE, "the notifications")
        wait_for(lambda: len(syncs(service)) == 20, PATIENCE, "the recoveries")
        wait_for(lambda: len(acted_on(service)) == 20, PATIENCE, "the actions")
        assert acted_on(service) == [*names, *["n"] * 10]
        assert len([path for path in argocd.asked if "stream" in path]) >= 5


@pytest.mark.parametrize("way", ["kubernetes", "argocd"])
def test_without_a_notification_controller(
    tmp_path: Path, controller: Controller, argocd: ArgoCd, way: str
) -> None:
    """`intake: watch` needs no sender's token."""
    with connected(tmp_path, controller, argocd, way, intake="watch") as service:
        service.kill()
        for token in (tmp_path / "senders").iterdir():
            token.unlink()
        service.start()
        for name in ("first", "second"):
            controller.sync(name)
            wait_for(lambda: name in acted_on(service), PATIENCE, "the action")  # noqa: B023 at once
        assert service.events("argocd.unknownSender") == []
