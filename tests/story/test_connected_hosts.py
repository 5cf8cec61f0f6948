"""Two dispatchers on one PostgreSQL, both with a connection to the same Argo CD."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from argocd_server import ArgoCd
from cluster import Worker
from connected_service import connection, plan, texts, told, waits
from kube import PATIENCE, Kube
from postgres import Databases
from service import Service, wait_for
from shared_hosts import end
from test_truth import RULES as TELL
from test_truth import Controller, acted_on, now
from test_waiting_for_health import RULES as SMOKE
from test_waiting_for_health import Shop

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("kubernetes")]


@pytest.fixture
def database(ledgers: Databases) -> Iterator[str]:
    with ledgers.database() as url:
        yield url


@contextmanager
def two(
    home: Path, database: str, rules: str, kube: Kube, namespace: str, argocd: ArgoCd
) -> Iterator[tuple[Service, Worker, Worker]]:
    """An intake and two workers, each of these with its own folder and connection."""
    intake = Service(home / "intake", TELL, database=database)
    workers = []
    for name in ("one", "other"):
        (home / name).mkdir()
        own = json.dumps({"test": connection(home / name, kube, namespace, argocd, "argocd")})
        worker = Worker(home / name, rules, database=database, argocd=own, lease="4")
        workers.append(worker)
    with ExitStack() as stack:
        for part in (intake, *workers):
            stack.callback(end, part)
            part.start(ready=False)
        for part in (intake, *workers):
            wait_for(part._ready, 30, f"{part.home.name} to be ready")
        yield intake, workers[0], workers[1]


def names(service: Service, sync: str) -> Counter[str]:
    return Counter(event["event"] for event in service.story(sync)["events"])


def next_second() -> None:
    """Argo CD tells the times of its operations in whole ones."""
    began = now()
    wait_for(lambda: now() > began, 5, "the next second")


@pytest.fixture
def controller(kube: Kube, request: pytest.FixtureRequest) -> Controller:
    """An Application whose first sync was some seconds ago."""
    made = Controller(kube, f"hosts-{abs(hash(request.node.name)) % 10**8}")
    for name in ("client-1", "client-2", "server-1"):
        made.apply(name, name.split("-")[0], {"a": "1"})
    next_second()
    next_second()
    return made


def test_each_sync_is_verified_once(
    tmp_path: Path, database: str, kube: Kube, controller: Controller, argocd: ArgoCd
) -> None:
    """Whoever does it, and wherever it was notified; also after one of them was killed."""
    rules = TELL.replace("NAMESPACE", controller.namespace)
    namespace = controller.apps.namespace
    with two(tmp_path, database, rules, kube, namespace, argocd) as (intake, one, _):
        first = told(intake, controller.sync("client-2"))
        assert acted_on(intake, first) == ["client-2"]
        assert names(intake, first)["sync.verified"] == 1
        next_second()
        argocd.fault = 503
        second = told(intake, controller.sync("client-2"))
        wait_for(lambda: "503" in intake.story(second)["reason"], PATIENCE, "its reason")
        one.kill()
        argocd.fault = None
        assert acted_on(intake, second) == ["client-2"]
        assert names(intake, second)["sync.verified"] == 1


def test_a_gate_opens_once(
    tmp_path: Path, database: str, kube: Kube, argocd: ArgoCd, request: pytest.FixtureRequest
) -> None:
    """By the one that is left, when the other is killed while the plan waits."""
    shop = Shop(kube, f"hosts-{abs(hash(request.node.name)) % 10**8}")
    rules = SMOKE.replace("WITHIN", "1h").replace("OTHERWISE", "fail")
    with two(tmp_path, database, rules, kube, shop.apps.namespace, argocd) as (intake, one, other):
        first = told(intake, shop.sync())
        waits(intake, first, "gated", "Progressing")
        wait_for(lambda: opened(shop, intake, first), PATIENCE, "the gate to open")
        assert [*texts(one), *texts(other)] == ["test web"]
        assert names(intake, first)["plan.opened"] == 1
        next_second()
        second = told(intake, shop.sync("busybox:2"))
        waits(intake, second, "gated", "Progressing")
        one.kill()
        wait_for(lambda: opened(shop, intake, second), PATIENCE, "the gate to open")
        assert [*texts(one), *texts(other)] == ["test web"] * 2
        assert names(intake, second)["plan.opened"] == 1
    shop.objects.outbound.close()


def opened(shop: Shop, service: Service, sync: str) -> bool:
    """Say that the pods are ready; whether the plan has been carried out."""
    shop.objects.say_ready()
    return bool(plan(service, sync)["state"] == "succeeded")
