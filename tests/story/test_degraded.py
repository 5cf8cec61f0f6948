"""Which resource is degraded: from Argo CD's notification, or from its connection."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import argocd_engine
import pytest
import yaml
from applications import Applications
from argocd_engine import Engine, Json
from argocd_server import ArgoCd
from connected_service import connection, texts
from kube import Kube
from service import ROOT, TOKEN, Service, serving, wait_for

from receiver.core.model import rfc3339

pytestmark = pytest.mark.slow

PAGE = (ROOT / "docs/rules.md").read_text().partition("### Which resource is degraded")[2]
CONFIG, RULES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[:2]
"""The keys of the ConfigMap, and the rules that go with them."""
SICK = {"status": "Degraded", "message": "no pods"}


def degraded(*resources: Json) -> Json:
    """An Application that has just become degraded, with these resources."""
    tree = argocd_engine.application()
    now = rfc3339(datetime.now(UTC).replace(microsecond=0))
    tree["status"] |= {
        "health": {"status": "Degraded", "lastTransitionTime": now}, "resources": list(resources),
    }  # fmt: skip
    del tree["status"]["operationState"]
    return tree


def entry(name: str, **more: Any) -> Json:
    return {"group": "apps", "version": "v1", "kind": "Deployment", "namespace": "shop",
            "name": name, "status": "Synced", **more}  # fmt: skip


def sent(engine: Engine, service: Service, tree: Json) -> Json:
    """Have Argo CD's engine send it, by the page's keys; the story of what came of it."""
    (met,) = engine.send(service.url, TOKEN + "senders", tree, keys=yaml.safe_load(CONFIG))
    assert [one["errors"] for one in met] == [[]]
    _, found = service.request("GET", "/v1/syncs", role="operators")
    return service.ended(found["syncs"][0]["id"])


def test_what_the_page_says_is_told_of_the_degraded_one(engine: Engine, tmp_path: Path) -> None:
    """By the template, the trigger and the rule of docs/rules.md."""
    with serving(tmp_path, "version: 1\n" + RULES, log=None) as service:
        story = sent(engine, service, degraded(
            entry("web", health=SICK), entry("api", health={"status": "Healthy"}),
        ))  # fmt: skip
        assert story["channel"] == "degraded"
        assert texts(service) == ["apps/Deployment/shop/web is Degraded: no pods"]


def test_from_argo_cd_3_on_it_is_unknown_without_a_connection(
    engine: Engine, tmp_path: Path
) -> None:
    """Nothing is done for it, and it is said why."""
    with serving(tmp_path, "version: 1\n" + RULES, log=None) as service:
        story = sent(engine, service, degraded(entry("web")))
        assert story["plans"] == []
        told = json.dumps(story["explanation"])
        assert (
            "wants Degraded, saw unknown (the notification does not tell it; a connection" in told
        )


@pytest.mark.xdist_group("kubernetes-services")
@pytest.mark.parametrize("way", ["kubernetes", "argocd"])
def test_a_connection_tells_it(tmp_path: Path, kube: Kube, argocd: ArgoCd, way: str) -> None:
    """Also while the operation of the Application is under way."""
    namespace = kube.namespace(f"degraded-{way}")
    apps = Applications(kube, kube.namespace(f"degraded-{way}-argocd"))
    path = f"/api/v1/namespaces/{namespace}/pods"
    for name, phase in (("well", "Succeeded"), ("sick", "Failed")):
        spec = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox"}]}
        kube.ask("POST", path, {"metadata": {"name": name}, "spec": spec})
        told = {"status": {"phase": phase, "message": "no room"}}
        kube.ask("PATCH", f"{path}/{name}/status", told, "application/merge-patch+json")
    live = [{**one, "apiVersion": "v1", "kind": "Pod"} for one in kube.items(path)]
    apps.put("shop", resources=live, phase="Running", finished="")
    apps.change("shop", {"resourceHealthSource": "appTree"})
    listed = [
        {"version": "v1", "kind": "Pod", "namespace": namespace, "name": name, "status": "Synced"}
        for name in ("well", "sick", "gone")
    ]
    apps.change("shop", {"resources": listed})
    body = {
        "application": {"name": "shop", "namespace": apps.namespace}, "eventKey": "1",
        "resources": listed,
    }  # fmt: skip
    settings = json.dumps({"test": connection(tmp_path, kube, apps.namespace, argocd, way)})
    rules = "version: 1\n" + RULES.replace("Deployment", "Pod")
    with serving(tmp_path, rules, log=None, argocd=settings) as service:
        status, answer = service.request(
            "POST", "/v1/notifications/degraded", json.dumps(body).encode()
        )
        assert status == 202
        service.ended(answer["sync"], 60)
        wait_for(lambda: bool(texts(service)), 30, "what the rule says")
        (text,) = texts(service)
        assert text.startswith(f"Pod/{namespace}/sick is Degraded: ")
