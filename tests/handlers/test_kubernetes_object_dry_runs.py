"""What `check --cluster` finds in the actions on objects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from kube import Json, Kube
from objects import Objects, objects
from peers import call, door

from handlers.kubernetes.apply import handler as apply
from handlers.kubernetes.delete import handler as delete
from handlers.kubernetes.wait import handler as wait
from receiver.contract import PLACEHOLDER, Finding, Handler

pytestmark = pytest.mark.xdist_group("kubernetes")


@pytest.fixture(scope="module")
def here(kube: Kube) -> Iterator[Objects]:
    with objects(kube, kube.namespace("dry")) as made:
        yield made


def _found(here: Objects, handler: Handler[Any], **fields: Any) -> list[Finding]:
    given = {"cluster": {"kubeconfig": here.kubeconfig}, **fields}
    assert handler.dry_run is not None
    params = handler.params.model_validate(given)
    return list(handler.dry_run(params, call(door(here.outbound), here.said)))


def _manifest(name: str = "a", namespace: str = "dry", **fields: Any) -> Json:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, **fields}


def _scaled(replicas: Any) -> Json:
    labels = {"app": "web"}
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "a", "image": "b"}]},
    }
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return _manifest(spec=spec) | {"apiVersion": "apps/v1", "kind": "Deployment"}


def test_a_good_manifest_is_taken_and_not_kept(here: Objects) -> None:
    """Also one of a kind without a namespace."""
    assert _found(here, apply, manifest=_manifest(data={"a": "1"})) == []
    assert here.find("configmaps", "a") is None
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole"}
    assert _found(here, apply, manifest=_manifest(namespace="") | role) == []


def test_a_field_that_the_kind_does_not_have_is_found_at_its_place(here: Objects) -> None:
    """As apply would fail at run time."""
    (found,) = _found(here, apply, manifest=_manifest(date={"a": "1"}))
    assert (found.path, found.message) == (("manifest", "date"), "Kubernetes has no such field")


@pytest.mark.parametrize(
    ("manifest", "path", "told"),
    [
        (_manifest(namespace="nowhere"), ("manifest", "metadata", "namespace"), 'es "nowhere" not'),
        (_manifest(namespace=""), ("manifest",), "a ConfigMap is in a namespace"),
        (_manifest() | {"kind": "Cofnig"}, ("manifest",), "this cluster has no kind Cofnig in v1"),
        (_scaled("two"), ("manifest",), "spec.replicas: expected numeric"),
        (_scaled(-1), ("manifest", "spec", "replicas"), "greater than or equal to 0"),
    ],
)
def test_a_mistake_is_found_with_its_place(
    here: Objects, manifest: Json, path: tuple[str, ...], told: str
) -> None:
    """In the server's words."""
    (found,) = _found(here, apply, manifest=manifest)
    assert (found.path, told in found.message, found.certain) == (path, True, True), found


@pytest.mark.parametrize(
    ("manifest", "path", "told"),
    [
        (_manifest(namespace=PLACEHOLDER), ("manifest", "metadata", "namespace"), "not tried in"),
        (_manifest() | {"kind": PLACEHOLDER}, ("manifest",), "its kind is known at run time"),
        (_scaled(PLACEHOLDER), ("manifest",), "an expression stands in the way"),
    ],
)
def test_what_is_known_only_at_run_time_is_a_note(
    here: Objects, manifest: Json, path: tuple[str, ...], told: str
) -> None:
    """The rest is tried as far as it goes."""
    (found,) = _found(here, apply, manifest=manifest)
    assert (found.path, told in found.message, found.certain) == (path, True, False), found


def test_a_field_of_somebody_else_is_noted(here: Objects) -> None:
    """It may be another one's no more when the rule runs."""
    here.put("configmaps?fieldManager=helm", "theirs", {"data": {"a": "1"}})
    (found,) = _found(here, apply, manifest=_manifest("theirs", data={"a": "2"}))
    assert 'conflict with "helm"' in found.message
    assert not found.certain
    assert _found(here, apply, manifest=_manifest("theirs", data={"a": "2"}), force=True) == []


def test_a_kind_that_the_cluster_does_not_have_is_found(here: Objects) -> None:
    """Whatever is done with it; the run's own resource needs no question."""
    ref = {"kind": "Deployment", "namespace": "dry", "name": "web"}
    for handler in (wait, delete):
        (found,) = _found(here, handler, object=ref)
        assert found.path == ("object", "kind")
        assert found.message == "this cluster has no kind Deployment in v1"
    assert _found(here, wait, object=ref | {"group": "apps"}) == []
    assert _found(here, wait) == []
