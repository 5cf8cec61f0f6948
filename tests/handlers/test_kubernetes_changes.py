"""`kubernetes.apply` and `kubernetes.patch` against a real API server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from kube import Kube
from objects import MICE, Objects, objects
from service import wait_for

from handlers.kubernetes.apply import handler as apply
from handlers.kubernetes.patch import handler as patch
from receiver.contract import PermanentError, Succeeded

pytestmark = pytest.mark.xdist_group("kubernetes")


@pytest.fixture(scope="module")
def here(kube: Kube) -> Iterator[Objects]:
    with objects(kube, kube.namespace("changes")) as made:
        yield made


@pytest.fixture(scope="module")
def mice(here: Objects) -> Objects:
    """A custom resource whose plural nobody guesses."""
    here.kube.ask("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", MICE)
    wait_for(lambda: here.kube.find(here.path("farm.example.com/v1/mice")) is not None, 30, "mice")
    return here


def _config(here: Objects, name: str, **data: str) -> dict[str, Any]:
    metadata = {"namespace": here.namespace, "name": name}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def test_an_object_is_made_and_then_kept_as_it_is(here: Objects) -> None:
    """The same apply again changes nothing; what it does not name any more is removed."""
    first = here.end(apply, manifest=_config(here, "kept", a="1", b="2"))
    again = here.end(apply, manifest=_config(here, "kept", a="1", b="2"))
    assert again == first
    assert (first["kind"], first["namespace"], first["name"]) == ("ConfigMap", "changes", "kept")
    here.end(apply, manifest=_config(here, "kept", b="3"))
    assert here.there("configmaps", "kept")["data"] == {"b": "3"}


def test_fields_of_somebody_else_are_left_alone(here: Objects) -> None:
    """Those that the manifest does not name; for those that it names, it says who has them."""
    here.put("configmaps?fieldManager=helm", "theirs", {"data": {"a": "1", "b": "2"}})
    here.end(apply, manifest=_config(here, "theirs", c="3"))
    with pytest.raises(PermanentError) as caught:
        here.attempt(apply, manifest=_config(here, "theirs", a="mine"))
    assert 'conflict with "helm" using v1: .data.a' in caught.value.message
    assert caught.value.hint.startswith("force: true takes these fields over")
    here.end(apply, manifest=_config(here, "theirs", a="mine"), force=True)
    assert here.there("configmaps", "theirs")["data"] == {"a": "mine", "b": "2"}


def test_two_managers_keep_out_of_each_others_way(here: Objects) -> None:
    """Each removes what it applied itself, and nothing else."""
    here.end(apply, manifest=_config(here, "shared", a="1"), field_manager="one")
    here.end(apply, manifest=_config(here, "shared", b="2"), field_manager="two")
    assert here.there("configmaps", "shared")["data"] == {"a": "1", "b": "2"}


def test_a_kind_without_a_namespace_is_applied(here: Objects) -> None:
    """A namespace in the manifest of another kind is needed."""
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": "mouse-keeper"}, "rules": [],
    }  # fmt: skip
    output = here.end(apply, manifest=role)
    assert (output["namespace"], output["name"]) == (None, "mouse-keeper")
    nowhere = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}
    with pytest.raises(PermanentError, match="a ConfigMap is in a namespace, and none is given"):
        here.attempt(apply, manifest=nowhere)


def test_what_is_wrong_with_a_manifest_is_told(here: Objects) -> None:
    """In the API server's words, or before it is asked."""
    typo = _config(here, "typo") | {"date": {}}
    with pytest.raises(PermanentError, match=r"\.date: field not declared in schema|unknown field"):
        here.attempt(apply, manifest=typo)
    unknown = _config(here, "a") | {"kind": "Cofnig"}
    with pytest.raises(PermanentError, match="this cluster has no kind Cofnig in v1"):
        here.attempt(apply, manifest=unknown)
    for version, told in (("nope.example.com/v1", "does not serve"), ("../v1", "is no apiVersion")):
        with pytest.raises(PermanentError, match=told):
            here.attempt(apply, manifest=_config(here, "a") | {"apiVersion": version})
    elsewhere = _config(here, "a") | {"metadata": {"namespace": "nowhere", "name": "a"}}
    with pytest.raises(PermanentError, match="the namespace must be there before"):
        here.attempt(apply, manifest=elsewhere)


def test_a_secret_can_be_applied_and_nothing_of_it_is_told(here: Objects) -> None:
    """The output says which object it is, and no more."""
    secret = _config(here, "token") | {"kind": "Secret", "stringData": {"a": "hush"}, "data": {}}
    assert "hush" not in str(here.end(apply, manifest=secret))


@pytest.mark.parametrize(
    ("fields", "data"),
    [
        ({"patch": {"data": {"a": "9", "b": None}}}, {"a": "9"}),
        ({"type": "strategic", "patch": {"data": {"c": "3"}}}, {"a": "1", "b": "2", "c": "3"}),
        (
            {"type": "json", "patch": [{"op": "replace", "path": "/data/b", "value": "8"}]},
            {"a": "1", "b": "8"},
        ),
    ],
)
def test_a_patch_changes_what_it_names(
    here: Objects, fields: dict[str, Any], data: dict[str, str]
) -> None:
    """In each of the three ways to write one."""
    name = f"patched-{fields.get('type', 'merge')}"
    here.put("configmaps", name, {"data": {"a": "1", "b": "2"}})
    here.end(patch, object=here.ref("ConfigMap", name), **fields)
    found = here.there("configmaps", name)
    assert found["data"] == data
    assert "postsync" in {one["manager"] for one in found["metadata"]["managedFields"]}


def test_a_patch_that_cannot_be_applied_says_why(here: Objects) -> None:
    """It is no use to try again."""
    here.put("configmaps", "tested", {"data": {"a": "1"}})
    ref = here.ref("ConfigMap", "tested")
    test = [{"op": "test", "path": "/data/a", "value": "2"}]
    with pytest.raises(PermanentError, match="was answered 422"):
        here.attempt(patch, object=ref, type="json", patch=test)
    with pytest.raises(PermanentError, match="unknown field"):
        here.attempt(patch, object=ref, patch={"dota": {}})
    with pytest.raises(PermanentError, match='configmaps "nobody" not found'):
        here.attempt(patch, object=here.ref("ConfigMap", "nobody"), patch={})
    with pytest.raises(PermanentError, match="object is missing, and this run is not about one"):
        here.attempt(patch, patch={})


def test_a_custom_resource_is_found_by_its_kind(mice: Objects) -> None:
    """By group and version, or by the group alone; the plural is the cluster's to know."""
    metadata = {"namespace": mice.namespace, "name": "jerry"}
    mouse = {"apiVersion": "farm.example.com/v1", "kind": "Mouse", "metadata": metadata, "spec": {}}
    mice.end(apply, manifest=mouse)
    by_group = {"group": "farm.example.com", "kind": "Mouse", **metadata}
    assert isinstance(mice.attempt(patch, object=by_group, patch={"spec": {"a": 1}}), Succeeded)
    assert mice.there("farm.example.com/v1/mice", "jerry")["spec"] == {"a": 1}
    with pytest.raises(PermanentError, match="custom resources take type: merge and type: json"):
        mice.attempt(patch, object=by_group, type="strategic", patch={"spec": {"a": 1}})
