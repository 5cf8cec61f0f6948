"""Objects whose annotations are large: what is kept of them, and how much is read at once."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from connected import QUICK, deadline
from peers import Reply, Seen, peer
from test_pages import APPLICATION, REFS, listing

from receiver.argocd.application_json import application_of
from receiver.argocd.argocd_api import ArgoCdApi
from receiver.argocd.objects import LiveObject, ObjectRef, Unreadable
from receiver.argocd.server import Server
from receiver.kubernetes.access import Access
from receiver.outbound import Outbound

AT = "2026-06-01T12:00:03Z"
COMPARED = application_of(
    {
        "metadata": {"name": "shop", "namespace": "argocd"},
        "status": {
            "reconciledAt": AT,
            "operationState": {"phase": "Succeeded", "startedAt": AT, "finishedAt": AT},
        },
    }
)


def manifest(ref: ObjectRef, **annotations: str) -> dict[str, Any]:
    managers = [{"manager": "argocd-controller", "operation": "Apply", "time": AT}]
    return {
        "metadata": {
            "name": ref.name, "namespace": ref.namespace, "annotations": annotations,
            "managedFields": managers,
        }
    }  # fmt: skip


def page(refs: Collection[ObjectRef], more: str = "", **annotations: str) -> Reply:
    items = [manifest(ref, **annotations) for ref in refs]
    return Reply(200, json.dumps({"metadata": {"continue": more}, "items": items}).encode())


@contextmanager
def comparing(outbound: Outbound, items: list[dict[str, Any]]) -> Iterator[ArgoCdApi]:
    """Argo CD's API, which tells these managed resources."""

    def answer(seen: Seen) -> Reply:
        assert "managed-resources" in seen.path
        return Reply(200, body)

    body = json.dumps({"items": items}).encode()
    with peer(answer) as there:
        yield ArgoCdApi(Server("it", lambda: Access(there.url, ""), outbound, QUICK))


def managed(ref: ObjectRef, **annotations: str) -> dict[str, Any]:
    names = {"kind": ref.kind, "namespace": ref.namespace, "name": ref.name}
    return {**names, "liveState": json.dumps(manifest(ref, **annotations)), "targetState": "{}"}


@pytest.mark.parametrize(("names", "kept"), [((), set()), (("b", "c"), {"b"}), (None, {"a", "b"})])
def test_annotations_are_kept_that_are_asked_for(
    outbound: Outbound, names: Collection[str] | None, kept: set[str]
) -> None:
    """By both kinds of connections; the rest of an object is the same."""
    with (
        listing(outbound, page(REFS, a="1", b="2")) as (kubernetes, _),
        comparing(outbound, [managed(ref, a="1", b="2") for ref in REFS]) as argocd,
    ):
        for found in (
            kubernetes.live(APPLICATION, REFS, deadline=deadline(), annotations=names),
            argocd.live(COMPARED, REFS, deadline=deadline(), annotations=names),
        ):
            for one in found.values():
                assert isinstance(one, LiveObject)
                assert one.annotations.keys() == kept
                assert one.managers[0].time == datetime(2026, 6, 1, 12, 0, 3, tzinfo=UTC)


def test_annotations_that_are_too_large_together_leave_objects_unknown(
    outbound: Outbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With that reason; nothing is refused where nobody asks for them."""
    monkeypatch.setattr("receiver.argocd.room.MOST", 450)
    large = "x" * 100
    for names, number in ((None, 4), ((), 6)):
        with (
            listing(outbound, page(REFS, a=large)) as (kubernetes, _),
            comparing(outbound, [managed(ref, a=large) for ref in REFS]) as argocd,
        ):
            for found in (
                kubernetes.live(APPLICATION, REFS, deadline=deadline(), annotations=names),
                argocd.live(COMPARED, REFS, deadline=deadline(), annotations=names),
            ):
                assert sum(isinstance(one, LiveObject) for one in found.values()) == number
                reasons = {one.reason for one in found.values() if isinstance(one, Unreadable)}
                assert reasons <= {"the Application's objects are too large to be read at once"}


def test_a_page_that_is_too_large_is_asked_for_anew(
    outbound: Outbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In half as many objects, and so are the pages after it."""
    monkeypatch.setattr("receiver.argocd.kubernetes_live.LARGEST_PAGE", 4_000)
    large = "x" * 1_000
    pages = (page(REFS, a=large), page(REFS[:3], "more", a=large), page(REFS[3:], a=large))
    with listing(outbound, *pages) as (api, lists):
        found = api.live(APPLICATION, REFS, deadline=deadline())
    assert all(isinstance(found[ref], LiveObject) for ref in REFS)
    assert [one.path.partition("limit=")[2].partition("&")[0] for one in lists] == [
        "500", "250", "250",
    ]  # fmt: skip


def test_of_objects_with_large_annotations_one_page_alone_is_in_memory(
    outbound: Outbound,
) -> None:
    """A thousand may have 100 KB each."""
    refs = [ObjectRef("", "v1", "ConfigMap", "shop", f"c-{number}") for number in range(100)]
    parts = [refs[start : start + 10] for start in range(0, 100, 10)]
    pages = [page(part, "more" if part != parts[-1] else "", a="x" * 100_000) for part in parts]
    with listing(outbound, *pages) as (api, _):
        tracemalloc.start()
        try:
            found = api.live(APPLICATION, refs, deadline=deadline())
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert all(isinstance(found[ref], LiveObject) for ref in refs)
    assert peak < 6_000_000


def test_what_argo_cd_tells_in_another_form_is_read_as_far_as_it_goes(outbound: Outbound) -> None:
    """A newer one may leave out, add or null what was there."""
    odd, gone = {**managed(REFS[4]), "group": None}, {**managed(REFS[5]), "liveState": None}
    with comparing(outbound, [*map(managed, REFS[:4]), odd, gone]) as argocd:
        found = argocd.live(COMPARED, REFS, deadline=deadline())
    assert all(isinstance(found[ref], LiveObject) for ref in REFS[:5])
    assert found[REFS[5]] == Unreadable("it is not there any more", gone=True)
