"""Events of all rules of a file, from a notification to what the pages of a cluster show."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kube import PATIENCE, Json, Kube
from made import Maker, making
from notifications import notification, resource
from service import ROOT, serving

from handlers.kubernetes.event import handler
from receiver.testkit import Reply, Seen, peer

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("kubernetes-services")]

EXAMPLE = ROOT / "config/examples/rules/events-for-all-rules.yaml"


@pytest.fixture
def told(kube: Kube) -> Iterator[Maker]:
    with making(kube, "told", handler, "api/v1/events", frozenset({("configmaps", "get")})) as made:
        yield made


def _answer(seen: Seen) -> Reply:
    if "reload" in seen.path:
        return Reply(404)
    return Reply(200, b'{"success": true, "errors": []}')


def _rules(kubeconfig: str, address: str) -> str:
    tree: Any = yaml.safe_load(EXAMPLE.read_text())
    purge, reload = tree["rules"]
    purge["actions"][0]["with"]["api"] = address
    reload["actions"][0]["with"]["url"] = f"{address}/reload"
    reload["match"]["resources"][0]["namespace"] = "told"
    for owner in (tree["defaults"], reload):
        owner["finally"][0]["with"] = {"cluster": {"kubeconfig": {"file": kubeconfig}}}
    return yaml.safe_dump(tree)


def _notified() -> bytes:
    names = ("assets-1", "shop-config")
    body = json.loads(notification(*(resource(name, namespace="told") for name in names)))
    body["application"] |= {"namespace": "told", "uid": "u-shop"}
    return json.dumps(body).encode()


def test_the_application_and_the_resource_tell_how_their_rules_ended(
    told: Maker, tmp_path: Path
) -> None:
    """One Event for each plan: a good one on the Application, a bad one on the ConfigMap."""
    maps = "/api/v1/namespaces/told/configmaps"
    uid = told.kube.ask("POST", maps, {"metadata": {"name": "shop-config"}})["metadata"]["uid"]
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/kubeconfig").write_text(told.kubeconfig)
    with peer(_answer) as there:
        rules = _rules("kubeconfig", there.url)
        with serving(tmp_path, rules, secret_cloudflare="hush-cloudflare") as service:
            status, answer = service.request("POST", "/v1/notifications", _notified())
            assert status == 202, answer
            plans = service.ended(answer["sync"], PATIENCE)["plans"]
            assert {plan["rule"]: plan["state"] for plan in plans} == {
                "purge-shop": "succeeded", "reload-shop": "failed",
            }  # fmt: skip
    good, bad = _events(told, "u-shop"), _events(told, uid)
    assert [(one["reason"], one["message"]) for one in good] == [
        ("PostSyncSucceeded", "Rule purge-shop: purge succeeded")
    ]
    assert [(one["type"], one["reason"]) for one in bad] == [("Warning", "PostSyncFailed")]
    assert bad[0]["message"].startswith("Rule reload-shop: reload (ConfigMap/told/shop-config) ")


def _events(told: Maker, uid: str) -> list[Json]:
    path = f"{told.collection}?fieldSelector=involvedObject.uid%3D{uid}"
    items: list[Json] = told.kube.ask("GET", path)["items"]
    return items
