"""Rules that compare fields of the live objects of a real API server with what they were."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from argocd_server import ArgoCd
from connected_service import connection, told
from kube import Kube
from service import Service, serving, wait_for
from test_truth import Controller, acted_on, now

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("kubernetes-services")]

RULES = """
version: 1
rules:
- name: reload
  onUnknownChange: skip
  match: {resources: [{kind: ConfigMap, namespace: NAMESPACE, fields: data.a}]}
  actions: [{uses: log.message, with: {text: "${{ resource.fields['data.a'] }}"}}]
"""
NAMES = ("client-1", "server-1", "server-2", "replace-1")


class OfTwoFields(Controller):
    """Its objects have a field ``b``, too, which a test may change alone."""

    def __init__(self, kube: Kube, name: str) -> None:
        super().__init__(kube, name)
        self.others: dict[str, str] = {}

    def apply(self, name: str, way: str, data: Mapping[str, str]) -> None:
        super().apply(name, way, {**data, "b": self.others.get(name, "1")})


@pytest.fixture(params=["kubernetes", "argocd"])
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def controller(kube: Kube, request: pytest.FixtureRequest) -> Controller:
    """An Application whose first sync was some seconds ago."""
    made = OfTwoFields(kube, f"fields-{abs(hash(request.node.name)) % 10**8}")
    for name in NAMES:
        made.apply(name, name.split("-")[0], {"a": "1"})
    made.sync()
    began = now()
    wait_for(lambda: now() > began + timedelta(seconds=1), 5, "the clock to go on")
    return made


def test_only_a_change_of_the_field_is_acted_on(
    tmp_path: Path, controller: OfTwoFields, argocd: ArgoCd, way: str
) -> None:
    """From the first sync on, since a baseline was taken; and over a restart.

    `server-2` has changed each time, in its other field.
    """
    own = connection(tmp_path, controller.kube, controller.apps.namespace, argocd, way)
    rules = RULES.replace("NAMESPACE", controller.namespace)
    with serving(tmp_path, rules, log=None, argocd=json.dumps({"test": own})) as service:
        wait_for(lambda: bool(baselines(service)), 60, "the baseline")
        assert json.loads(baselines(service)[0])["skipped"] == 0
        controller.others = {"server-2": "2", "replace-1": "2"}
        sync = told(service, controller.sync("client-1", "replace-1"))
        assert acted_on(service, sync) == ["client-1", "replace-1"]
        told_by = json.dumps(service.story(sync)["explanation"])
        assert "its fields are as before: data.a" in told_by
        service.kill()
        service.start()
        controller.others["server-2"] = "3"
        began = now()
        wait_for(lambda: now() > began, 5, "the clock to go on")
        sync = told(service, controller.sync("server-1", "client-1", "replace-1"))
        assert acted_on(service, sync) == ["client-1", "replace-1", "server-1"]
        assert len(baselines(service)) == 1


def baselines(service: Service) -> list[str]:
    """What the trail has of baselines."""
    rows = service.query("SELECT data FROM audit_events WHERE name = 'fields.read'")
    return [row[0] for row in rows]
