"""Watching Applications: by a real API server, and by Argo CD's API."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from applications import Applications
from argocd_server import AWAY, ArgoCd
from connected import QUICK, by_argocd, by_kubernetes, deadline
from kube import Kube
from peers import Reply, Seen, peer

from receiver.argocd.argocd_api import ArgoCdApi
from receiver.argocd.connection import Connection, ConnectionFailed
from receiver.argocd.kubernetes_api import KubernetesApi
from receiver.argocd.objects import ApplicationSummary
from receiver.argocd.server import Server
from receiver.kubernetes.access import Access
from receiver.outbound import Outbound

pytestmark = pytest.mark.xdist_group("kubernetes")


@pytest.fixture(params=["kubernetes", "kubernetes, two namespaces", "argocd"])
def watched(
    request: pytest.FixtureRequest, kube: Kube, argocd: ArgoCd, outbound: Outbound
) -> tuple[Connection, Applications]:
    """A connection of each kind, and the Applications that it sees."""
    name = f"watch-{time.monotonic_ns()}"
    apps = Applications(kube, kube.namespace(name))
    if request.param == "argocd":
        return by_argocd(argocd, outbound), apps
    others = ["default"] if "two" in request.param else []
    return by_kubernetes(kube, outbound, *others, name), apps


LAST = "last"
"""The Application that a test makes when nothing else is to happen."""


class Watching:
    """Reads a watch in a thread; ``told`` has what of one namespace it yields."""

    def __init__(self, connection: Connection, apps: Applications) -> None:
        self.told: list[ApplicationSummary] = []
        self.failed: list[ConnectionFailed] = []
        self._apps = apps
        self._watch = connection.watch(deadline())
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            for one in self._watch:
                if one.namespace == self._apps.namespace:
                    if one.name == LAST:
                        break
                    self.told.append(one)
        except ConnectionFailed as error:
            self.failed.append(error)

    def wait(self, what: Callable[[ApplicationSummary], bool]) -> ApplicationSummary:
        until = time.monotonic() + 60
        while time.monotonic() < until and not self.failed:
            if found := [one for one in list(self.told) if what(one)]:
                return found[-1]
            time.sleep(0.01)
        raise AssertionError(f"not told: {self.told} {self.failed}")

    def end(self) -> None:
        """Have told all that has happened until now."""
        self._apps.put(LAST)
        self._thread.join(60)
        assert not self._thread.is_alive()


def test_a_watch_begins_with_all_and_goes_on_with_changes(
    watched: tuple[Connection, Applications],
) -> None:
    """What is deleted is told too; what changes nothing that matters is not."""
    connection, apps = watched
    apps.put("old", finished="2026-06-01T12:00:03Z")
    watching = Watching(connection, apps)
    first = watching.wait(lambda one: one.name == "old")
    assert first.finished_at
    apps.change("old", {"reconciledAt": "2026-06-01T13:00:00Z"})
    apps.put("new", phase="Running", finished="")
    running = watching.wait(lambda one: one.name == "new")
    assert (running.phase, running.finished_at) == ("Running", None)
    apps.put("new", finished="2026-06-01T12:10:00Z")
    watching.wait(lambda one: one.name == "new" and one.phase == "Succeeded")
    apps.remove("new")
    watching.wait(lambda one: one.name == "new" and one.deleted)
    watching.end()
    assert not watching.failed
    assert len([one for one in watching.told if one.name == "old"]) == 1


def test_a_watch_ends_with_its_time(watched: tuple[Connection, Applications]) -> None:
    """Quietly: whoever watches decides whether to begin anew."""
    connection, apps = watched
    apps.put("old")
    assert "old" in [one.name for one in connection.watch(deadline(3))]


def test_argo_cd_that_cuts_each_watch_loses_nothing(
    kube: Kube, argocd: ArgoCd, outbound: Outbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each new beginning tells all; what is known is not told again."""
    monkeypatch.setattr("receiver.argocd.argocd_api.PAUSE", 0.01)
    apps = Applications(kube, kube.namespace("cut-argocd"))
    names = [f"cut-{number}" for number in range(3)]
    for name in names:
        apps.put(name)
    total = len(kube.ask("GET", "/apis/argoproj.io/v1alpha1/applications")["items"])
    argocd.cut_after = total
    watching = Watching(by_argocd(argocd, outbound), apps)
    for number, name in enumerate(names):
        watching.wait(lambda one, name=name: one.name == name)  # type: ignore[misc] # its own name
        apps.put(name, finished=f"2026-06-01T12:0{number + 1}:00Z")
        watching.wait(
            lambda one, name=name, at=number + 1: (  # type: ignore[misc] # likewise
                one.name == name and one.finished_at is not None and one.finished_at.minute == at
            )
        )
    watching.end()
    assert not watching.failed
    assert len(watching.told) == 6
    assert len([path for path in argocd.asked if "stream" in path]) > 3


def test_a_page_in_place_of_a_watch_fails(outbound: Outbound) -> None:
    """A proxy's page to sign in comes with 200, again and again; nobody would notice."""
    with peer(lambda _: Reply(200, b"<!doctype html>\n<title>Sign in</title>\n")) as there:
        access = Access(there.url, "")
        api = ArgoCdApi(Server("it", lambda: access, outbound, QUICK))
        with pytest.raises(ConnectionFailed, match="its watch has no JSON, as a page to sign in"):
            next(api.watch(deadline()))


def test_a_watch_that_cannot_begin_again_fails(
    kube: Kube, argocd: ArgoCd, outbound: Outbound
) -> None:
    """Whoever watches decides what then."""
    Applications(kube, "default").put("any")
    argocd.cut_after = 1
    watch = by_argocd(argocd, outbound).watch(deadline())
    next(watch)
    argocd.fault = AWAY
    with pytest.raises(ConnectionFailed, match=r"^Argo CD's API: "):
        list(watch)


def _app(name: str, version: int, minute: int = 0) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "argocd", "name": name, "resourceVersion": str(version)},
        "status": {"operationState": {"finishedAt": f"2026-06-01T12:{minute:02}:00Z"}},
    }


@contextmanager
def _scripted(
    outbound: Outbound, lists: list[list[dict[str, Any]]], watches: Mapping[int, Any]
) -> Iterator[tuple[KubernetesApi, list[Seen]]]:
    """An API server that answers lists in order, and the nth watch with these events, cut."""
    counts = {"lists": 0, "watches": 0}

    def answer(seen: Seen) -> Reply:
        if "watch=true" not in seen.path:
            items = lists[min(counts["lists"], len(lists) - 1)]
            counts["lists"] += 1
            body = {"metadata": {"resourceVersion": f"{counts['lists']}00"}, "items": items}
            return Reply(200, json.dumps(body).encode())
        counts["watches"] += 1
        events = watches.get(counts["watches"], [])
        if isinstance(events, int):
            return Reply(events, json.dumps({"message": "too old"}).encode())
        return Reply(200, b"".join(json.dumps(one).encode() + b"\n" for one in events) + b'{"ty')

    with peer(answer) as there:
        access = Access(there.url, "")
        server = Server("it", lambda: access, outbound, QUICK)
        yield KubernetesApi(server, ["argocd"], []), there.seen


def _versions(seen: list[Seen]) -> list[str]:
    """From which version each watch went on; "list" for a list."""
    return [
        one.path.partition("resourceVersion=")[2].partition("&")[0] if "watch=" in one.path
        else "list"
        for one in seen
    ]  # fmt: skip


def test_a_watch_that_is_cut_a_hundred_times_goes_on_where_it_was(
    outbound: Outbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is lost, nothing told twice, and there is one list."""
    monkeypatch.setattr("receiver.argocd.object_watch.PAUSE", 0)
    events = {
        number: [{"type": "MODIFIED", "object": _app(f"a{number % 7}", 100 + number, number % 60)}]
        for number in range(1, 101)
    }
    with _scripted(outbound, [[]], events) as (api, seen):
        watch = api.watch(deadline())
        told = [next(watch) for _ in range(100)]
    assert [one.name for one in told] == [f"a{number % 7}" for number in range(1, 101)]
    assert _versions(seen) == ["list", *(str(99 + number + (number > 0)) if number else "100"
                                         for number in range(100))]  # fmt: skip


def test_a_server_that_does_not_know_the_version_yet_is_asked_again(
    outbound: Outbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its cache lags behind what it has listed; in the end it has failed."""
    monkeypatch.setattr("receiver.argocd.object_watch.PAUSE", 0)
    later = {"type": "ADDED", "object": _app("a", 151)}
    with _scripted(outbound, [[]], {1: 504, 2: 504, 3: [later]}) as (api, seen):
        assert next(api.watch(deadline())).name == "a"
    assert _versions(seen) == ["list", "100", "100", "100"]
    with (
        _scripted(outbound, [[]], dict.fromkeys(range(1, 50), 504)) as (api, seen),
        pytest.raises(ConnectionFailed, match="was answered 504: too old"),
    ):
        next(api.watch(deadline()))


@pytest.mark.parametrize(
    "gone", [410, [{"type": "ERROR", "object": {"code": 410, "message": "too old"}}]]
)
def test_a_version_that_is_too_old_leads_to_a_new_list(
    outbound: Outbound, monkeypatch: pytest.MonkeyPatch, gone: Any
) -> None:
    """Which tells what has changed, what is new and what is gone."""
    monkeypatch.setattr("receiver.argocd.object_watch.PAUSE", 0)
    lists = [
        [_app("same", 1), _app("changed", 2), _app("removed", 3)],
        [_app("same", 1), _app("changed", 4, 5), _app("new", 5)],
    ]
    with _scripted(outbound, lists, {1: gone}) as (api, seen):
        watch = api.watch(deadline())
        told = [next(watch) for _ in range(6)]
        assert [(one.name, one.deleted) for one in told[3:]] == [
            ("changed", False), ("new", False), ("removed", True),
        ]  # fmt: skip
        assert _versions(seen)[:3] == ["list", "100", "list"]


def test_a_bookmark_moves_the_version(outbound: Outbound, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a quiet namespace never becomes too old."""
    monkeypatch.setattr("receiver.argocd.object_watch.PAUSE", 0)
    bookmark = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "150"}}}
    later = {"type": "ADDED", "object": _app("a", 151)}
    with _scripted(outbound, [[]], {1: [bookmark], 2: [later]}) as (api, seen):
        assert next(api.watch(deadline())).name == "a"
    assert _versions(seen) == ["list", "100", "150"]


def test_a_timeout_of_the_server_is_tried_again_at_the_same_version(
    outbound: Outbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As 504 "Too large resource version", of one whose cache lags; in the end it has failed."""
    monkeypatch.setattr("receiver.argocd.object_watch.PAUSE", 0)
    error = [{"type": "ERROR", "object": {"code": 504, "message": "Too large resource version"}}]
    later = {"type": "ADDED", "object": _app("a", 151)}
    with _scripted(outbound, [[]], {1: error, 2: [later]}) as (api, seen):
        assert next(api.watch(deadline())).name == "a"
    assert _versions(seen) == ["list", "100", "100"]
    with (
        _scripted(outbound, [[]], dict.fromkeys(range(1, 50), error)) as (api, _),
        pytest.raises(ConnectionFailed, match="each watch of Applications is ended: Too large re"),
    ):
        next(api.watch(deadline()))


def test_argo_cds_own_error_begins_the_watch_anew(
    outbound: Outbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    """grpc-gateway ends a stream with a line that says why."""
    monkeypatch.setattr("receiver.argocd.argocd_api.PAUSE", 0)
    lines = iter([
        b'{"error": {"message": "transport is closing"}}\n',
        json.dumps({"result": {"type": "ADDED", "application": _app("a", 1)}}).encode() + b"\n",
    ])  # fmt: skip
    with peer(lambda _: Reply(200, next(lines))) as there:
        access = Access(there.url, "")
        api = ArgoCdApi(Server("it", lambda: access, outbound, QUICK))
        assert next(api.watch(deadline())).name == "a"
