"""Lists that an API server tells page by page, where something goes wrong between two pages."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from connected import QUICK, deadline
from peers import Reply, Seen, peer

from receiver.argocd.application_json import application_of
from receiver.argocd.connection import ConnectionFailed
from receiver.argocd.kubernetes_api import KubernetesApi
from receiver.argocd.objects import LiveObject, ObjectRef
from receiver.argocd.server import Server
from receiver.kubernetes.access import Access
from receiver.outbound import Outbound
from receiver.settings.argocd import OWN_CLUSTER

KINDS = {"resources": [{"name": "configmaps", "kind": "ConfigMap", "namespaced": True}]}
REFS = [ObjectRef("", "v1", "ConfigMap", "shop", f"c-{number}") for number in range(6)]
APPLICATION = application_of({"spec": {"destination": {"server": OWN_CLUSTER[0]}}})
EXPIRED = Reply(410, json.dumps({"message": "the continue parameter is too old"}).encode())
HALF = Reply(200, b'{"items": [{"metadata": {"na')


def page(refs: Sequence[ObjectRef], more: str) -> Reply:
    items = [{"metadata": {"name": one.name, "namespace": one.namespace}} for one in refs]
    tree: dict[str, Any] = {"metadata": {"continue": more}, "items": items}
    return Reply(200, json.dumps(tree).encode())


@contextmanager
def listing(outbound: Outbound, *answers: Reply) -> Iterator[tuple[KubernetesApi, list[Seen]]]:
    """An API server that answers so when it is asked for a list; the requests for it."""
    left, lists = list(answers), []

    def answer(seen: Seen) -> Reply:
        if seen.path == "/api/v1":
            return Reply(200, json.dumps(KINDS).encode())
        lists.append(seen)
        return left.pop(0)

    with peer(answer) as there:
        server = Server("it", lambda: Access(there.url, ""), outbound, QUICK)
        yield KubernetesApi(server, ["argocd"], OWN_CLUSTER), lists


def test_a_list_whose_version_is_gone_between_two_pages_begins_anew(outbound: Outbound) -> None:
    """All are found, those of the first page too."""
    first, second = page(REFS[:3], "more"), page(REFS[3:], "")
    with listing(outbound, first, EXPIRED, first, second) as (api, lists):
        found = api.live(APPLICATION, REFS, deadline=deadline())
    assert [isinstance(found[ref], LiveObject) for ref in REFS] == [True] * len(REFS)
    assert ["continue=more" in one.path for one in lists] == [False, True, False, True]


def test_half_a_page_fails_the_whole(outbound: Outbound) -> None:
    """What was not told is never taken for gone."""
    with (
        listing(outbound, page(REFS[:3], "more"), HALF) as (api, _),
        pytest.raises(ConnectionFailed, match="without a JSON object"),
    ):
        api.live(APPLICATION, REFS, deadline=deadline())
