"""`debounce.until` with a real API server: one message for the regions of one commit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from applications import Applications
from argocd_server import AWAY, ArgoCd
from commands import typed
from connected_service import connection, plan, texts, told, waits
from kube import PATIENCE, Kube
from notifications import notification, resource
from service import Service, serving, wait_for

from receiver.core.model import rfc3339

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("kubernetes-services")]

RULES = """
version: 1
rules:
- name: purge
  match: {resources: [{kind: ConfigMap}]}
  debounce:
    key: "${{ sync.revision }}"
    window: 1s
    maxWait: 1h
    until: {applications: {applicationSet: regions, namespace: NAMESPACE}}
  actions:
  - uses: log.message
    target: application
    with: {text: "${{ syncs.size() }} regions, ${{ resources.size() }} resources"}
"""
REVISION = "9f1c2ab4d0e85c7731b6a2f4e9d80c3b5a6f7e12"
OLDER = "0" * 40
OWNER = {
    "apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet", "name": "regions",
    "uid": "u-1", "controller": True,
}  # fmt: skip


class Regions:
    """The Applications that one ApplicationSet has made, all at an older commit."""

    def __init__(self, kube: Kube, namespace: str, number: int) -> None:
        self.apps = Applications(kube, kube.namespace(namespace))
        self.names = [f"region-{one}" for one in range(number)]
        for name in self.names:
            self.apps.put(name, ownerReferences=[OWNER])
            self.compare(name, OLDER)

    def compare(self, name: str, revision: str) -> None:
        """Argo CD finds the Application as that commit has it."""
        self.apps.change(name, {"sync": {"status": "Synced", "revision": revision}})

    def sync(self, name: str) -> bytes:
        """Argo CD syncs the Application to the commit; the notification of it."""
        ended = datetime.now(UTC).replace(microsecond=0)
        result = {"syncResult": {"revision": REVISION}, "finishedAt": rfc3339(ended)}
        self.apps.change(name, {"operationState": {"startedAt": rfc3339(ended), **result}})
        self.compare(name, REVISION)
        told = json.loads(notification(resource(name), application=name, finished=ended))
        told["operationState"] |= {"startedAt": rfc3339(ended), "finishedAt": rfc3339(ended)}
        told["operationState"]["syncResult"]["revision"] = REVISION
        told["application"]["namespace"] = self.apps.namespace
        return json.dumps(told).encode()


@contextmanager
def connected(
    home: Path, kube: Kube, regions: Regions, argocd: ArgoCd, way: str
) -> Iterator[Service]:
    """A service whose sender has a connection of one kind; nothing is recovered by it."""
    namespace = regions.apps.namespace
    own = connection(home, kube, namespace, argocd, way)
    setting = {"test": own | {"intake": "notifications"}}
    with serving(home, RULES.replace("NAMESPACE", namespace), argocd=json.dumps(setting)) as made:
        yield made


def ends(service: Service, sync: str) -> None:
    wait_for(lambda: plan(service, sync)["state"] == "succeeded", PATIENCE, f"the end of {sync}")


@pytest.mark.parametrize("way", ["kubernetes", "argocd"])
def test_twenty_regions_are_one_message(
    tmp_path: Path, kube: Kube, argocd: ArgoCd, way: str
) -> None:
    """The last two of them are waited for; one has nothing to do at this commit."""
    regions = Regions(kube, f"many-{way}", 20)
    with connected(tmp_path, kube, regions, argocd, way) as service:
        syncs = [told(service, regions.sync(name)) for name in regions.names[:18]]
        waits(
            service,
            syncs[0],
            "collecting",
            f"2 of 20 Applications are not done: {regions.apps.namespace}/",
        )
        assert texts(service) == []
        regions.compare(regions.names[18], REVISION)
        told(service, regions.sync(regions.names[19]))
        ends(service, syncs[0])
        assert texts(service) == ["19 regions, 19 resources"]
        (complete,) = service.events("plan.complete")
        assert complete["applications"] == 20


def test_a_killed_process_goes_on(tmp_path: Path, kube: Kube, argocd: ArgoCd) -> None:
    """What it had seen is there at once, and is looked at again when Argo CD is back."""
    regions = Regions(kube, "many-killed", 2)
    with connected(tmp_path, kube, regions, argocd, "argocd") as service:
        sync = told(service, regions.sync("region-0"))
        waits(service, sync, "collecting", "region-1 is Synced at 00000000")
        argocd.fault = AWAY
        waits(service, sync, "collecting", "Argo CD's API")
        service.kill()
        service.start()
        waits(service, sync, "collecting", "region-1 is Synced at 00000000")
        argocd.fault = None
        told(service, regions.sync("region-1"))
        ends(service, sync)
        assert texts(service) == ["2 regions, 2 resources"]


def test_show_tells_whom_a_plan_waits_for(tmp_path: Path, kube: Kube, argocd: ArgoCd) -> None:
    """And until when."""
    regions = Regions(kube, "many-shown", 2)
    with connected(tmp_path, kube, regions, argocd, "kubernetes") as service:
        sync = told(service, regions.sync("region-0"))
        waits(service, sync, "collecting", "region-1")
        shown = typed(service, "show", sync).stdout
        assert "purge: collecting, matched 1 resource" in shown
        assert "; waits for Applications, until " in shown
        assert "region-1 is Synced at 00000000" in shown
