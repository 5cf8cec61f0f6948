"""`waitFor` with a real API server: no action before what a sync has brought is healthy."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from applications import Applications
from argocd_server import AWAY, ArgoCd
from connected_service import connection, plan, texts, told, waits
from kube import PATIENCE, Kube
from notifications import notification, resource
from objects import WEB, Objects
from service import Service, serving, wait_for

from receiver.core.model import rfc3339

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("kubernetes-services")]

RULES = """
version: 1
rules:
- name: smoke
  match: {resources: [{kind: Deployment}]}
  waitFor: {healthy: WITHIN, otherwise: OTHERWISE}
  actions: [{uses: log.message, with: {text: "test ${{ resource.name }}"}}]
  onFailure: [{uses: log.message, with: {text: "${{ failure.message }}"}}]
"""


class Shop:
    """An Application with one Deployment, whose pods become ready when the test says so."""

    def __init__(self, kube: Kube, name: str) -> None:
        self.kube = kube
        self.apps = Applications(kube, kube.namespace(f"{name}-argocd"))
        self.objects = Objects(kube, kube.namespace(name), "")

    def sync(self, image: str = "busybox") -> bytes:
        """Apply the Deployment with this image, as Argo CD does; the notification of it."""
        started = now()
        spec = json.loads(json.dumps(WEB["spec"]))
        spec["template"]["spec"]["containers"][0]["image"] = image
        tree = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}}
        path = self.objects.path("apps/v1/deployments", "web")
        live = self.kube.ask(
            "PATCH", f"{path}?fieldManager=argocd-controller&force=true", {**tree, "spec": spec},
            "application/apply-patch+yaml",
        )  # fmt: skip
        finished = now()
        self.apps.put(
            "shop", resources=[{**tree, **live}], started=rfc3339(started),
            finished=rfc3339(finished), reconciled=rfc3339(finished),
        )  # fmt: skip
        self.apps.change("shop", {"resourceHealthSource": "appTree"})
        entry = resource(
            "web", "deployment.apps/web serverside-applied", group="apps", kind="Deployment",
            namespace=self.objects.namespace,
        )  # fmt: skip
        told = json.loads(notification(entry, finished=finished))
        told["operationState"]["startedAt"] = rfc3339(started)
        told["application"]["namespace"] = self.apps.namespace
        return json.dumps(told).encode()


def now() -> datetime:
    """In whole seconds, as Argo CD tells the times."""
    return datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def shop(kube: Kube, request: pytest.FixtureRequest) -> Iterator[Shop]:
    made = Shop(kube, f"gate-{abs(hash(request.node.name)) % 10**8}")
    yield made
    made.objects.outbound.close()


@contextmanager
def connected(
    home: Path, shop: Shop, argocd: ArgoCd, way: str = "argocd", *, within: str = "1h",
    otherwise: str = "fail",
) -> Iterator[Service]:  # fmt: skip
    """A service whose sender has a connection of one kind."""
    own = connection(home, shop.kube, shop.apps.namespace, argocd, way)
    rules = RULES.replace("WITHIN", within).replace("OTHERWISE", otherwise)
    with serving(home, rules, argocd=json.dumps({"test": own})) as service:
        yield service


def ends(service: Service, sync: str, state: str, meanwhile: Callable[[], None]) -> dict[str, Any]:
    """Do something again and again until a sync's plan has this state."""

    def ended() -> bool:
        meanwhile()
        return bool(plan(service, sync)["state"] == state)

    wait_for(ended, PATIENCE, f"the plan of {sync} to be {state}")
    return plan(service, sync)


def nothing() -> None:
    """While it is waited for an end."""


@pytest.mark.parametrize("way", ["kubernetes", "argocd"])
def test_the_smoke_test_runs_when_the_deployment_is_healthy(
    tmp_path: Path, shop: Shop, argocd: ArgoCd, way: str
) -> None:
    """Not before; the story says for whom it waits, and until when."""
    with connected(tmp_path, shop, argocd, way) as service:
        sync = told(service, shop.sync())
        waits(service, sync, "gated", f"Deployment {shop.objects.namespace}/web: Progressing: ")
        assert plan(service, sync)["dueAt"]
        assert texts(service) == []
        ends(service, sync, "succeeded", shop.objects.say_ready)
        assert texts(service) == ["test web"]
        names = [one["event"] for one in service.story(sync)["events"] if "plan" in one]
        assert [name for name in names if name.startswith("plan.")] == [
            "plan.gated", "plan.opened", "plan.succeeded",
        ]  # fmt: skip


@pytest.mark.parametrize(("otherwise", "state"), [("fail", "failed"), ("go", "succeeded")])
def test_at_the_deadline_otherwise_decides(
    tmp_path: Path, shop: Shop, argocd: ArgoCd, otherwise: str, state: str
) -> None:
    """The plan fails with who is not healthy, and `onFailure` is told; or it goes."""
    with connected(tmp_path, shop, argocd, within="5s", otherwise=otherwise) as service:
        sync = told(service, shop.sync())
        ends(service, sync, state, nothing)
        why = f"not healthy within 5 s: Deployment {shop.objects.namespace}/web: Progressing: "
        (event,) = service.events("plan.unhealthy")
        assert event["reason"].startswith(why)
        (text,) = texts(service)
        assert text.startswith(why if otherwise == "fail" else "test web")


def test_a_newer_operation_supersedes_it(tmp_path: Path, shop: Shop, argocd: ArgoCd) -> None:
    """It has changed the Deployment, and its own plan waits for that."""
    with connected(tmp_path, shop, argocd, "kubernetes") as service:
        old = told(service, shop.sync())
        waits(service, old, "gated", "Progressing")
        later = now() + timedelta(seconds=1)
        wait_for(lambda: now() > later, 10, "another second")
        new = told(service, shop.sync("busybox:2"))
        ended = ends(service, old, "superseded", nothing)
        assert ended["reason"].startswith("superseded by a newer operation of ")
        ends(service, new, "succeeded", shop.objects.say_ready)
        assert texts(service) == ["test web"]


def test_a_killed_process_goes_on(tmp_path: Path, shop: Shop, argocd: ArgoCd) -> None:
    """Argo CD is away, then the process; what waited is looked at by the next one."""
    argocd.fault = AWAY
    with connected(tmp_path, shop, argocd) as service:
        sync = told(service, shop.sync())
        wait_for(lambda: plan(service, sync)["state"] == "gated" or bool(argocd.asked),
                 PATIENCE, "a question to Argo CD")  # fmt: skip
        argocd.fault = None
        waits(service, sync, "gated", "Progressing")
        argocd.fault = AWAY
        waits(service, sync, "gated", "Argo CD's API")
        until = plan(service, sync)["dueAt"]
        service.kill()
        service.start()
        waits(service, sync, "gated", "Argo CD's API")
        assert plan(service, sync)["dueAt"] == until
        argocd.fault = None
        ends(service, sync, "succeeded", shop.objects.say_ready)
        assert texts(service) == ["test web"]
