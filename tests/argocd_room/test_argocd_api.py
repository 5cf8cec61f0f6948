"""Reading Applications and live objects by Argo CD's API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing

import pytest
from applications import Applications
from argocd_server import AWAY, HALF, PAGE, SLOW, ArgoCd
from connected import apply, by_argocd, config_maps, deadline, ref_of
from kube import Json, Kube

from receiver.argocd.argocd_api import ArgoCdApi
from receiver.argocd.connection import ConnectionFailed
from receiver.argocd.objects import ApplicationState, LiveObject, ObjectRef, Unreadable
from receiver.outbound import Outbound

pytestmark = pytest.mark.xdist_group("kubernetes")


@pytest.fixture(scope="module")
def apps(kube: Kube) -> Applications:
    return Applications(kube, kube.namespace("api-apps"))


@pytest.fixture(scope="module")
def shop(kube: Kube) -> str:
    return kube.namespace("api-shop")


@pytest.fixture
def api(argocd: ArgoCd) -> Iterator[ArgoCdApi]:
    with closing(Outbound()) as outbound:
        yield by_argocd(argocd, outbound)


def _state(api: ArgoCdApi, apps: Applications, name: str) -> ApplicationState:
    state = api.application(apps.namespace, name, deadline())
    assert isinstance(state, ApplicationState), state
    return state


def _parts(argocd: ArgoCd) -> list[str]:
    """What was asked for: the last word of each path."""
    return [one.partition("?")[0].rpartition("/")[2] for one in argocd.asked]


def test_applications_are_listed_with_what_is_needed_alone(
    api: ArgoCdApi, apps: Applications, argocd: ArgoCd
) -> None:
    """Argo CD leaves out the rest, which is most of it."""
    apps.put("listed", labels={"team": "web"}, annotations={"long": "x" * 1000})
    found = {one.key: one for one in api.applications(deadline())}
    one = found[f"{apps.namespace}/listed"]
    assert (one.phase, one.project, dict(one.labels)) == ("Succeeded", "default", {"team": "web"})
    assert one.finished_at
    assert one.uid
    assert argocd.asked[0].startswith("/api/v1/applications?fields=items.metadata.name%2C")
    assert argocd.asked[1].startswith("/api/v1/stream/applications?fields=result.type%2C")


def test_what_an_application_is_at_is_listed(api: ArgoCdApi, apps: Applications) -> None:
    """The revisions of its last operation and comparison, and the ApplicationSet that made it."""
    owner = {
        "apiVersion": "argoproj.io/v1alpha1", "kind": "ApplicationSet", "name": "regions",
        "uid": "u-1", "controller": True,
    }  # fmt: skip
    apps.put("at", ownerReferences=[owner])
    done = {"syncResult": {"revision": "", "revisions": ["1.2", "abc"]}}
    apps.change("at", {"sync": {"status": "Synced", "revision": "abd"}, "operationState": done})
    found = {one.key: one for one in api.applications(deadline())}
    one = found[f"{apps.namespace}/at"]
    assert (one.operated, one.synced, one.revisions) == (("1.2", "abc"), "Synced", ("abd",))
    assert one.application_set == "regions"


def test_a_list_that_is_told_in_part_is_no_list(
    api: ArgoCdApi, apps: Applications, argocd: ArgoCd
) -> None:
    """Whoever waits for all Applications must not take some of them for all."""
    apps.put("one")
    apps.put("two")
    argocd.cut_after = 1
    with pytest.raises(ConnectionFailed, match="of its Applications were not told in time"):
        api.applications(deadline())


def test_an_application_is_read_whole(api: ArgoCdApi, apps: Applications) -> None:
    """As by an API server."""
    apps.put("whole")
    state = _state(api, apps, "whole")
    assert state.summary.key == f"{apps.namespace}/whole"
    assert "managedFields" not in str(state.body)


def test_what_is_not_shown_may_not_be_there(
    api: ArgoCdApi, apps: Applications, argocd: ArgoCd
) -> None:
    """Argo CD answers alike for both, so the reason names both."""
    argocd.projects = {"web"}
    apps.put("forbidden")
    for name in ("forbidden", "nobody"):
        found = api.application(apps.namespace, name, deadline())
        assert found == Unreadable(
            "it is not there, or the account lacks `applications, get` on its project: "
            "permission denied"
        )
    assert f"{apps.namespace}/forbidden" not in {one.key for one in api.applications(deadline())}


@pytest.mark.parametrize("number", [3, 4])
def test_more_than_a_few_objects_cost_one_call(
    kube: Kube, api: ArgoCdApi, apps: Applications, shop: str, argocd: ArgoCd, number: int
) -> None:
    """And a few one each; both tell who changed them, and what is gone."""
    lives = config_maps(kube, shop, [f"few-{one}" for one in range(number)])
    apps.put("few", resources=lives)
    kube.remove(f"/api/v1/namespaces/{shop}/configmaps/few-0")
    state = _state(api, apps, "few")
    refs = list(map(ref_of, lives))
    argocd.asked.clear()
    found = api.live(state, refs, deadline=deadline())
    assert _parts(argocd) == (["managed-resources"] if number > 3 else ["resource"] * number)
    gone, *there = (found[ref] for ref in refs)
    assert isinstance(gone, Unreadable)
    assert gone.gone
    for one in there:
        assert isinstance(one, LiveObject)
        assert [manager.manager for manager in one.managers] == ["argocd-controller"]


@pytest.mark.parametrize("content", [True, False])
def test_a_secrets_values_are_unknown(
    kube: Kube, api: ArgoCdApi, apps: Applications, shop: str, content: bool
) -> None:
    """Argo CD masks them all alike."""
    name = f"hidden-{content}".lower()
    secret: Json = kube.ask("POST", f"/api/v1/namespaces/{shop}/secrets", {
        "metadata": {"name": name}, "stringData": {"password": "hush"},
    })  # fmt: skip
    apps.put(name, resources=[secret])
    ref = ref_of(secret)
    found = api.live(_state(api, apps, name), [ref], deadline=deadline(), content=content)[ref]
    assert isinstance(found, LiveObject)
    assert (found.content or {}).get("data") == ({"password": None} if content else None)


def test_what_is_cached_is_not_used_before_the_operations_end(
    kube: Kube, api: ArgoCdApi, apps: Applications, shop: str, argocd: ArgoCd
) -> None:
    """Argo CD is asked again until it has compared anew."""
    lives = config_maps(kube, shop, [f"late-{one}" for one in range(4)])
    apps.put("late", resources=lives, reconciled="2026-06-01T12:00:02Z")
    argocd.compare(apps.namespace, "late")
    apply(kube, shop, "late-0", {"a": "2"})
    state = _state(api, apps, "late")
    asked = list[str]()

    class Compares(list[str]):
        """Lets Argo CD compare when it is asked for the second time."""

        def append(self, path: str) -> None:
            asked.append(path)
            if len(asked) == 2:
                argocd.compare(apps.namespace, "late")
                apps.change("late", {"reconciledAt": "2026-06-01T12:00:03Z"})

    argocd.asked = Compares()
    found = api.live(state, list(map(ref_of, lives)), deadline=deadline(), content=True)
    one = found[ref_of(lives[0])]
    assert isinstance(one, LiveObject)
    assert one.content
    assert one.content["data"] == {"a": "2"}
    assert [path.partition("?")[0].rpartition("/")[2] for path in asked] == [
        "late", "late", "managed-resources",
    ]  # fmt: skip


def test_where_argo_cd_does_not_compare_in_time_some_are_asked_for_one_by_one(
    kube: Kube, api: ArgoCdApi, apps: Applications, shop: str, argocd: ArgoCd,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """And the rest says why it is not known."""
    monkeypatch.setattr("receiver.argocd.argocd_live.MANY", 2)
    lives = config_maps(kube, shop, [f"never-{one}" for one in range(4)])
    apps.put("never", resources=lives, reconciled="2026-06-01T12:00:02Z")
    state = _state(api, apps, "never")
    found = api.live(state, list(map(ref_of, lives)), deadline=deadline(4))
    assert [isinstance(one, LiveObject) for one in found.values()] == [True, True, False, False]
    assert list(found.values())[3] == Unreadable(
        "Argo CD has not compared the Application again since the operation's end"
    )
    assert "managed-resources" not in _parts(argocd)


def test_an_application_that_is_too_large_is_asked_for_one_by_one(
    kube: Kube, api: ArgoCdApi, apps: Applications, shop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer has a bound."""
    lives = config_maps(kube, shop, [f"large-{one}" for one in range(12)])
    apps.put("large", resources=lives)
    state = _state(api, apps, "large")
    monkeypatch.setattr("receiver.argocd.server.LARGEST", 5_000)
    found = api.live(state, list(map(ref_of, lives)), deadline=deadline())
    assert all(isinstance(one, LiveObject) for one in found.values())


@pytest.mark.parametrize("number", [1, 4])
def test_a_kind_without_namespaces_is_found_whatever_the_sync_says(
    kube: Kube, api: ArgoCdApi, apps: Applications, shop: str, number: int
) -> None:
    """Argo CD lists it with no namespace; one by one, and with all others."""
    wide = kube.ask("GET", "/api/v1/namespaces/default")
    lives = config_maps(kube, shop, [f"wide-{one}" for one in range(number - 1)])
    apps.put("wide", resources=[wide, *lives])
    ref = ObjectRef("", "v1", "Namespace", shop, "default")
    found = api.live(
        _state(api, apps, "wide"), [ref, *map(ref_of, lives)], deadline=deadline()
    )  # fmt: skip
    assert isinstance(found[ref], LiveObject), found[ref]


def test_what_is_no_part_of_the_application_says_so(
    kube: Kube, api: ArgoCdApi, apps: Applications, shop: str
) -> None:
    """One by one, and among many."""
    lives = config_maps(kube, shop, [f"own-{one}" for one in range(4)])
    apps.put("own", resources=lives)
    other = ObjectRef("", "v1", "ConfigMap", shop, "other")
    state = _state(api, apps, "own")
    one = api.live(state, [other], deadline=deadline())[other]
    assert isinstance(one, Unreadable)
    assert "not found as part of application" in one.reason
    many = api.live(state, [other, *map(ref_of, lives)], deadline=deadline())[other]
    assert many == Unreadable("it is not among the Application's resources any more")


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (AWAY, "the connection was closed before the answer's end"),
        (SLOW, r"no answer from .* within"),
        (HALF, "the connection was closed before the answer's end"),
        (PAGE, "without a JSON object"),
        (503, "GET /api/v1/applications was answered 503: as the test wants it"),
        (429, "was answered 429"),
        (302, "was answered 302"),
        (403, "Applications cannot be listed: it is not there, or the account lacks"),
    ],
)
def test_faults_are_told_in_plain_words(
    api: ArgoCdApi, argocd: ArgoCd, fault: str | int, told: str
) -> None:
    """The connection is named, and nothing else is raised."""
    argocd.fault = fault
    with pytest.raises(ConnectionFailed, match=f"^Argo CD's API: .*{told}"):
        api.applications(deadline(1 if fault == SLOW else 60))


@pytest.mark.parametrize("fault", [AWAY, SLOW, HALF, PAGE])
@pytest.mark.parametrize("number", [1, 4])
def test_faults_while_objects_are_read_fail_the_whole(
    kube: Kube, api: ArgoCdApi, apps: Applications, shop: str, argocd: ArgoCd,
    fault: str | int, number: int,
) -> None:  # fmt: skip
    """Nothing that was not read counts as read."""
    lives = config_maps(kube, shop, [f"fault-{one}" for one in range(number)])
    apps.put("fault", resources=lives)
    state = _state(api, apps, "fault")
    argocd.fault, argocd.faulty = fault, "resource"
    with pytest.raises(ConnectionFailed, match=r"^Argo CD's API: "):
        api.live(state, list(map(ref_of, lives)), deadline=deadline(2))


@pytest.mark.parametrize("number", [1, 4])
def test_objects_of_a_cluster_that_is_away_are_unknown(
    kube: Kube, api: ArgoCdApi, apps: Applications, shop: str, argocd: ArgoCd, number: int
) -> None:
    """Argo CD answers 5xx for them, and well for the Applications of every other cluster."""
    lives = config_maps(kube, shop, [f"away-{one}" for one in range(number)])
    apps.put("away", resources=lives)
    state = _state(api, apps, "away")
    argocd.fault, argocd.faulty = 503, "resource"
    found = api.live(state, list(map(ref_of, lives)), deadline=deadline(2.5))
    assert len(found) == number
    told = {getattr(one, "reason", "").partition("answered")[2] for one in found.values()}
    assert told == {" 503: as the test wants it"}


def test_a_token_is_never_told(argocd: ArgoCd) -> None:
    """Neither when it is refused nor in what shows a connection."""
    with closing(Outbound()) as outbound:
        api = by_argocd(argocd, outbound, "hush-hush-token")
        with pytest.raises(ConnectionFailed, match=r"401.*no longer, valid") as caught:
            api.applications(deadline())
        assert "hush" not in str(caught.value) + repr(api) + json.dumps(argocd.asked)
