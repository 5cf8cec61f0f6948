"""`kubernetes.delete` against a real API server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from jobs import MANIFEST
from kube import Kube
from objects import WEB, Objects, objects
from service import wait_for

from handlers.kubernetes.delete import handler as delete
from receiver.contract import Pending, PermanentError, Succeeded

pytestmark = pytest.mark.xdist_group("kubernetes")


@pytest.fixture(scope="module")
def here(kube: Kube) -> Iterator[Objects]:
    with objects(kube, kube.namespace("deletions")) as made:
        yield made


def _selected(here: Objects, kind: str = "ConfigMap", **labels: str) -> dict[str, object]:
    return {"kind": kind, "namespace": here.namespace, "labels": labels}


def test_an_object_is_deleted_and_its_end_seen(here: Objects) -> None:
    """By its name."""
    here.put("configmaps", "left-over")
    assert here.end(delete, object=here.ref("ConfigMap", "left-over")) == {"deleted": ["left-over"]}
    assert here.find("configmaps", "left-over") is None


def test_what_is_gone_already_is_a_success(here: Objects) -> None:
    """It says so on the trail."""
    outcome = here.attempt(delete, object=here.ref("ConfigMap", "nobody"))
    assert outcome == Succeeded({"deleted": []})
    assert here.said[-1] == "there is no such ConfigMap: nothing to delete"
    assert here.attempt(delete, object=_selected(here, app="nobody")) == Succeeded({"deleted": []})


def test_objects_are_deleted_by_their_labels(here: Objects) -> None:
    """Those that have all of them, in that namespace."""
    for name, labels in (
        ("one", {"app": "shop", "part": "migration"}),
        ("two", {"app": "shop", "part": "migration"}),
        ("other", {"app": "shop"}),
    ):
        here.put("configmaps", name, {"metadata": {"labels": labels}})
    output = here.end(delete, object=_selected(here, app="shop", part="migration"))
    assert output == {"deleted": ["one", "two"]}
    assert here.there("configmaps", "other")


def test_what_came_anew_under_the_name_is_left_alone(here: Objects) -> None:
    """Also if a crash makes the attempt that deletes be made twice."""
    ref = here.ref("ConfigMap", "replaced")
    here.put("configmaps", "replaced")
    state = here.state(delete, object=ref)
    asked = here.state(delete, state, object=ref)
    here.put("configmaps", "replaced", {"data": {"new": "yes"}})
    again = here.state(delete, state, object=ref)
    assert here.end(delete, again, object=ref) == {"deleted": ["replaced"]}
    assert here.end(delete, asked, object=ref) == {"deleted": ["replaced"]}
    assert here.there("configmaps", "replaced")["data"] == {"new": "yes"}


def test_a_finalizer_is_waited_for(here: Objects) -> None:
    """The trail says once which one; without wait nobody waits."""
    here.put("configmaps", "held", {"metadata": {"finalizers": ["example.com/hold"]}})
    ref = here.ref("ConfigMap", "held")
    state = here.state(delete, here.state(delete, object=ref), object=ref)
    for _ in range(2):
        state = here.state(delete, state, object=ref)
    assert here.said.count("held is not gone yet: example.com/hold") == 1
    path = here.path("configmaps", "held")
    patch = [{"op": "remove", "path": "/metadata/finalizers"}]
    here.kube.ask("PATCH", path, patch, "application/json-patch+json")
    assert here.end(delete, state, object=ref) == {"deleted": ["held"]}


def test_without_wait_its_end_is_not_seen(here: Objects) -> None:
    """It is on its way."""
    here.put("configmaps", "going", {"metadata": {"finalizers": ["example.com/hold"]}})
    ref = here.ref("ConfigMap", "going")
    assert here.end(delete, object=ref, wait=False) == {"deleted": ["going"]}
    assert "deletionTimestamp" in here.there("configmaps", "going")["metadata"]


def test_the_pods_of_a_job_go_with_it(here: Objects) -> None:
    """In the background, as kubectl does; the default of the API would leave them."""
    template = {**MANIFEST["spec"]["template"]}
    template["spec"] = {**template["spec"], "restartPolicy": "Never"}
    here.put("batch/v1/jobs", "migrate", {"spec": {"template": template}})
    wait_for(lambda: bool(here.kube.items(here.path("pods"))), 30, "its pod")
    here.end(delete, object=here.ref("Job", "migrate", "batch/v1"))
    wait_for(lambda: not here.kube.items(here.path("pods")), 30, "the pod's end")


@pytest.mark.parametrize(("propagation", "left"), [("Orphan", True), ("Foreground", False)])
def test_what_an_object_owns_is_left_or_goes_first(
    here: Objects, propagation: str, *, left: bool
) -> None:
    """By the propagation policy."""
    name = f"web-{propagation.lower()}"
    label = {"app": name}
    spec = {**WEB["spec"], "selector": {"matchLabels": label}, "replicas": 0}
    spec["template"] = {**spec["template"], "metadata": {"labels": label}}
    here.put("apps/v1/deployments", name, {"spec": spec})
    sets = here.path("apps/v1/replicasets")
    wait_for(lambda: bool(here.kube.items(sets, **label)), 30, "its ReplicaSet")
    ref = here.ref("Deployment", name, "apps/v1")
    here.end(delete, object=ref, propagation=propagation)
    assert bool(here.kube.items(sets, **label)) is left


def test_a_missing_right_is_named(here: Objects) -> None:
    """With the verb to grant."""
    bare = here.kube.account("bare", namespace=here.namespace)
    with pytest.raises(PermanentError) as caught:
        here.attempt(delete, object=here.ref("ConfigMap", "a"), cluster={"kubeconfig": bare})
    assert caught.value.hint.startswith("grant the verb get on configmaps in namespace deletions")


def test_the_first_look_deletes_nothing(here: Objects) -> None:
    """What is meant is stored before: only then does a repeated attempt know it again."""
    here.put("configmaps", "noted")
    outcome = here.attempt(delete, object=here.ref("ConfigMap", "noted"))
    assert isinstance(outcome, Pending)
    assert here.there("configmaps", "noted")
