"""Lists that an API server tells page by page, where something goes wrong between two pages."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from connected import QUICK, deadline
from peers import Reply, Seen, peer

from receiver.argocd.application_json import application_of
from receiver.argocd.connection import ConnectionFailed
from receiver.argocd.kubernetes_api import KubernetesApi
from receiver.argocd.objects import LiveObject, ObjectRef, Unreadable
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


AWAY = Reply(503, json.dumps({"message": "the server is currently unable"}).encode())
OTHER = [ObjectRef("away.example.com", "v1", "Thing", "shop", f"t-{number}") for number in range(6)]


@pytest.mark.parametrize("many", [6, 2])
@pytest.mark.parametrize("where", ["discovery", "list"])
def test_a_kind_that_is_away_takes_no_other_with_it(
    outbound: Outbound, where: str, many: int
) -> None:
    """An aggregated API without its pods, or a conversion webhook."""
    things = {"resources": [{"name": "things", "kind": "Thing", "namespaced": True}]}

    def answer(seen: Seen) -> Reply:
        if seen.path.startswith("/apis/away.example.com/v1"):
            known = where == "list" and seen.path == "/apis/away.example.com/v1"
            return Reply(200, json.dumps(things).encode()) if known else AWAY
        if seen.path == "/api/v1":
            return Reply(200, json.dumps(KINDS).encode())
        return page(REFS, "")

    with peer(answer) as there:
        server = Server("it", lambda: Access(there.url, ""), outbound, QUICK)
        api = KubernetesApi(server, ["argocd"], OWN_CLUSTER)
        found = api.live(APPLICATION, [*OTHER[:many], *REFS], deadline=deadline())
    assert all(isinstance(found[ref], LiveObject) for ref in REFS)
    told = {getattr(found[ref], "reason", "") for ref in OTHER[:many]}
    assert all("answered 503: the server is currently unable" in one for one in told)


def test_what_was_not_answered_well_once_is_asked_for_again(outbound: Outbound) -> None:
    """A moment without a leader of etcd leaves nothing unknown."""
    with listing(outbound, AWAY, page(REFS, "")) as (api, lists):
        found = api.live(APPLICATION, REFS, deadline=deadline())
    assert all(isinstance(found[ref], LiveObject) for ref in REFS)
    assert len(lists) == 2


def test_a_server_that_answers_nothing_well_fails_the_whole(outbound: Outbound) -> None:
    """The Application itself cannot be read."""
    with (
        listing(outbound, AWAY) as (api, _),
        pytest.raises(ConnectionFailed, match="answered 503"),
    ):
        api.application("argocd", "shop", deadline())


def test_one_object_that_is_too_large_takes_no_other_with_it(
    outbound: Outbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is it asked for again."""
    monkeypatch.setattr("receiver.argocd.kubernetes_live.LARGEST_PAGE", 200)
    large = Reply(200, b'{"items": ["' + b"x" * 300 + b'"]}')
    with listing(outbound, *[large] * 10) as (api, lists):
        found = api.live(APPLICATION, REFS, deadline=deadline())
    assert {getattr(one, "reason", "").rpartition(" ")[0] for one in found.values()} == {
        "it: GET /api/v1/namespaces/shop/configmaps has more than 0"
    }
    assert len(lists) == 9


def test_of_what_is_judged_only_the_health_stays(outbound: Outbound) -> None:
    """Not the content of each object that was read for it: a hundred of a megabyte are many."""
    parts = [REFS[number : number + 1] for number in range(len(REFS))]
    large = [
        Reply(200, json.dumps({
            "metadata": {"continue": "more" if part != parts[-1] else ""},
            "items": [{"metadata": {"name": part[0].name}, "data": {"a": "x" * 4_000_000}}],
        }).encode())
        for part in parts
    ]  # fmt: skip
    with listing(outbound, *large) as (api, _):
        tracemalloc.start()
        try:
            found = api.health(APPLICATION, REFS, deadline=deadline())
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert [getattr(one, "status", "") for one in found.values()] == ["Healthy"] * len(REFS)
    assert peak < 22_000_000


def test_objects_that_are_too_large_together_are_unknown(
    outbound: Outbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that there was room for are there, and without the content there is room for all."""
    monkeypatch.setattr("receiver.argocd.room.MOST", 500)
    for content, number in ((True, 4), (False, 6)):
        with listing(outbound, page(REFS, "")) as (api, _):
            found = api.live(APPLICATION, REFS, deadline=deadline(), content=content)
        assert len([one for one in found.values() if isinstance(one, LiveObject)]) == number
        assert {one.reason for one in found.values() if isinstance(one, Unreadable)} <= {
            "the Application's objects are too large to be read at once"
        }
