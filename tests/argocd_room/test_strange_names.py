"""What a notification names leads to no other path of an API server than it may lead to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import unquote, urlsplit

import pytest
from connected import QUICK, deadline
from hypothesis import example, given
from hypothesis import strategies as st
from peers import Reply, Seen, peer

from receiver.argocd import discovery
from receiver.argocd.application_json import application_of
from receiver.argocd.kubernetes_api import KubernetesApi
from receiver.argocd.objects import LiveObject, ObjectRef, Unreadable
from receiver.argocd.server import Server
from receiver.contract import PermanentError
from receiver.kubernetes.access import Access
from receiver.kubernetes.paths import group_path, path_of, version_path
from receiver.outbound import Outbound
from receiver.settings.argocd import OWN_CLUSTER

APPLICATION = application_of({"spec": {"destination": {"server": OWN_CLUSTER[0]}}})
KINDS = {
    "resources": [
        {"name": "things", "kind": "Thing", "namespaced": True},
        {"name": "planets", "kind": "Planet", "namespaced": False},
        {"name": "../secrets", "kind": "Odd", "namespaced": False},
    ]
}
TEXTS = st.text(st.sampled_from("av1./?&#%=-~\\ \n:ü"), max_size=12) | st.text(max_size=6)


@contextmanager
def served(outbound: Outbound) -> Iterator[tuple[KubernetesApi, list[str]]]:
    """An API server that serves these kinds in every group; the paths that it was asked for."""
    asked: list[str] = []

    def answer(seen: Seen) -> Reply:
        asked.append(seen.path)
        if seen.path.count("/") == 3:
            return Reply(200, json.dumps(KINDS).encode())
        return Reply(200, json.dumps({"metadata": {"name": "a"}}).encode())

    with peer(answer) as there:
        server = Server("it", lambda: Access(there.url, ""), outbound, QUICK)
        yield KubernetesApi(server, ["argocd"], OWN_CLUSTER), asked


@pytest.mark.parametrize(
    ("group", "version"),
    [
        ("../api/v1/namespaces/kube-system/secrets?x=", "v1"),
        ("..", "v1"),
        ("example.com?watch=true&x=", "v1"),
        ("example.com", "v1?watch=true"),
        ("example.com", ".."),
        ("example.com/v1", "things"),
        ("Example.com", "v1"),
        ("", "../apis"),
        ("example.com", ""),
        ("a" * 64 + ".com", "v1"),
    ],
)
def test_a_strange_group_is_not_asked_for(outbound: Outbound, group: str, version: str) -> None:
    """It would be read with our token; and what it names is unknown, not the whole."""
    strange = ObjectRef(group, version, "Thing", "shop", "a")
    usual = ObjectRef("example.com", "v1", "Thing", "shop", "a")
    with served(outbound) as (api, asked):
        found = api.live(APPLICATION, [strange, usual], deadline=deadline())
    assert asked == ["/apis/example.com/v1", "/apis/example.com/v1/namespaces/shop/things/a"]
    told = found[strange]
    assert isinstance(told, Unreadable)
    assert "is no apiVersion" in told.reason
    assert isinstance(found[usual], LiveObject)


@pytest.mark.parametrize(
    ("ref", "told"),
    [
        (ObjectRef("example.com", "v1", "Thing", "..", "a"), "'..' is no name"),
        (ObjectRef("example.com", "v1", "Thing", "shop", ".."), "'..' is no name"),
        (ObjectRef("example.com", "v1", "Thing", "shop", "a/b"), "'a/b' is no name"),
        (ObjectRef("example.com", "v1", "Thing", "shop", ""), "'' is no name"),
        (ObjectRef("example.com", "v1", "Thing", "", "a"), "in a namespace, and none is named"),
        (ObjectRef("example.com", "v1", "Odd", "", "a"), "serves no Odd"),
    ],
)
def test_a_strange_name_is_not_asked_for(outbound: Outbound, ref: ObjectRef, told: str) -> None:
    """Nor one in no namespace: a list of all namespaces has others of its name."""
    with served(outbound) as (api, asked):
        found = api.live(APPLICATION, [ref], deadline=deadline())[ref]
    assert asked == ["/apis/example.com/v1"]
    assert isinstance(found, Unreadable)
    assert told in found.reason


def test_groups_without_end_are_not_all_remembered(
    outbound: Outbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that were asked for last are."""
    monkeypatch.setattr(discovery, "REMEMBERED", 3)
    refs = [ObjectRef(f"g{number}.com", "v1", "Planet", "", "a") for number in range(6)]
    with served(outbound) as (api, asked):
        for ref in [*refs, refs[5], refs[0]]:
            api.live(APPLICATION, [ref], deadline=deadline())
    groups = [path for path in asked if path.count("/") == 3]
    assert groups == [f"/apis/g{number}.com/v1" for number in (0, 1, 2, 3, 4, 5, 0)]


@given(TEXTS, TEXTS, TEXTS, TEXTS)
@example("v1", "things", "shop", "system:a b?c#d")
@example("example.com/v1", "things?x", "sh&op", "a")
def test_every_path_is_the_one_that_it_is_meant_to_be(
    api_version: str, plural: str, namespace: str, name: str
) -> None:
    """Or there is none: no part ends it, adds a query or leads upwards."""
    try:
        path = path_of(api_version, plural, namespace, name)
    except PermanentError:
        return
    split = urlsplit(f"https://it{path}")
    assert (split.path, split.query, split.fragment) == (path, "", "")
    parts = [unquote(part) for part in path.split("/")[1:]]
    root = ["apis", *api_version.split("/")] if "/" in api_version else ["api", api_version]
    assert parts == [*root, "namespaces", namespace, plural, *([name] if name else [])]
    assert not {".", ".."} & set(parts)


@pytest.mark.parametrize("api_version", ["v1", "apps/v1", "metrics.k8s.io/v1beta1", "a.b/stable"])
def test_versions_of_kubernetes_have_their_path(api_version: str) -> None:
    """A CustomResourceDefinition may call its version by any DNS label."""
    assert version_path(api_version) == (
        f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
    )


def test_a_group_is_a_dns_name() -> None:
    """So a rule's expression leads nowhere else."""
    assert group_path("apps") == "/apis/apps"
    with pytest.raises(PermanentError, match="is no group"):
        group_path("../api")
