"""How Jobs are followed by a watch: what is told, and what is asked all the same."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest
from jobs import Runs, running
from kube import PATIENCE, Json, Kube
from kubelet import Kubelet
from peers import Reply, Seen, door, peer
from relays import Relay, relay
from service import wait_for

from handlers.kubernetes.cluster import Cluster
from handlers.kubernetes.job import watch
from handlers.kubernetes.job.watch import JobWatch
from receiver.contract import Pending, PermanentError, StreamHttp, TemporaryError
from receiver.core.logs import configure_logs
from receiver.dispatcher.watches import Watches
from receiver.ledger.engine.sqlite import SqliteLedger
from receiver.outbound import Outbound

pytestmark = pytest.mark.xdist_group("kubernetes")

RUNNING = {"running": {"startedAt": "2026-06-01T12:00:00Z"}}
PULLING = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "PAUSES", (0.01,))


class Listener:
    """Keeps what a watch tells, for so many openings."""

    def __init__(self, outbound: Outbound, openings: int) -> None:
        self.outbound = outbound
        self.left = openings
        self.told: list[str] = []

    @property
    def wanted(self) -> bool:
        self.left -= 1
        return self.left >= 0

    def http(self, seconds: float, secrets: Any = ()) -> StreamHttp:
        return door(self.outbound, seconds, *filter(None, secrets))  # type: ignore[return-value]  # it is both

    @contextmanager
    def open(self, *, anew: bool) -> Iterator[None]:
        self.told.append("anew" if anew else "on")
        yield

    def tell(self, subject: str, news: str) -> None:
        self.told.append(f"{subject} {json.loads(news)['status']}")

    def ended(self, subject: str) -> None:
        self.told.append(f"{subject} ended")


def event(kind: str, uid: str = "u", *, version: int, **status: Any) -> bytes:
    metadata = {"namespace": "shop", "name": "a", "uid": uid, "resourceVersion": str(version)}
    return json.dumps({"type": kind, "object": {"metadata": metadata, "status": status}}).encode()


def watch_of(server: str, user: str = "hush-token") -> JobWatch:
    config = {
        "current-context": "it",
        "clusters": [{"name": "it", "cluster": {"server": server}}],
        "users": [{"name": "it", "user": {"token": user}}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
    }
    return JobWatch(Cluster(kubeconfig=json.dumps(config)), "shop")


def followed(outbound: Outbound, *answers: Reply) -> tuple[list[str], list[Seen]]:
    """What a watch tells that is answered so, one after the other, and what it asks."""
    left = list(answers)
    with peer(lambda _: left.pop(0)) as there:
        listener = Listener(outbound, len(answers))
        watch_of(there.url).follow(listener)
        return listener.told, there.seen


def lines(*events: bytes) -> Reply:
    return Reply(200, b"".join(one + b"\n" for one in events))


COMPLETE = [{"type": "Complete", "status": "True"}]


def test_each_job_is_told_as_it_is_and_its_end_too(outbound: Outbound) -> None:
    """Complete, failed or gone; lists of indexes are left out."""
    told, _ = followed(outbound, lines(
        event("ADDED", "u-1", version=1, active=1, completedIndexes="1,2,3"),
        event("ADDED", "u-2", version=2, conditions=COMPLETE),
        event("MODIFIED", "u-3", version=3, conditions=[{"type": "Failed", "status": "True"}]),
        event("MODIFIED", "u-4", version=4, conditions=[{"type": "Suspended", "status": "True"}]),
        event("DELETED", "u-1", version=5, active=1),
    ))  # fmt: skip
    assert told == [
        "anew", "u-1 {'active': 1}", "u-2 ended", "u-3 ended",
        "u-4 {'conditions': [{'type': 'Suspended', 'status': 'True'}]}", "u-1 ended",
    ]  # fmt: skip


def test_it_goes_on_where_it_was_cut(outbound: Outbound) -> None:
    """At the version of the last line, a bookmark's too; only our Jobs are asked for."""
    told, seen = followed(
        outbound,
        lines(event("ADDED", version=7), event("BOOKMARK", version=9)),
        Reply(200, event("MODIFIED", version=10, active=1) + b'\n{"type": "MODI'),
        lines(),
    )
    assert told == ["anew", "u {}", "on", "u {'active': 1}", "on"]
    queries = [one.path.partition("?")[2] for one in seen]
    assert [parse_qs(one)["resourceVersion"] for one in queries] == [["0"], ["9"], ["10"]]
    assert all("labelSelector=postsync%2Fseries" in one for one in queries)


@pytest.mark.parametrize(
    "too_old",
    [
        Reply(410, b'{"kind": "Status", "code": 410}'),
        Reply(504, b'{"kind": "Status", "message": "Too large resource version: 7"}'),
        lines(b'{"type": "ERROR", "object": {"kind": "Status", "code": 410}}'),
    ],
    ids=["410", "504", "an event"],
)
def test_a_version_that_is_not_there_begins_anew(outbound: Outbound, too_old: Reply) -> None:
    """With all the Jobs that there are then."""
    told, _ = followed(
        outbound, lines(event("ADDED", version=7)), too_old, lines(event("ADDED", version=8))
    )
    assert [one for one in told if one != "on"] == ["anew", "u {}", "anew", "u {}"]


@pytest.mark.parametrize(
    ("answer", "kind", "why"),
    [
        (Reply(403, b'{"message": "no right"}'), PermanentError, "answered 403: no right"),
        (Reply(401, b'{"message": "Unauthorized"}'), PermanentError, "answered 401: Unauth"),
        (Reply(503, b"hush-token is away"), TemporaryError, r"answered 503: \S+ is away"),
        (
            Reply(200, b'{"type": "ERROR", "object": {"code": 500, "message": "hush-token"}}\n'),
            TemporaryError,
            "the watch was ended: ",
        ),
        (
            Reply(200, b'{"type": "ERROR", "object": {"code": 504, "message": "too large"}}\n'),
            TemporaryError,
            "the watch was ended: too large",
        ),
        (Reply(200, b"<html>\n"), TemporaryError, "is no API server"),
        (Reply(200, b'{"type": "ADDED"}\n'), TemporaryError, "is no API server"),
    ],
)
def test_what_cannot_be_watched_says_why(
    outbound: Outbound, answer: Reply, kind: type[Exception], why: str
) -> None:
    """Without the token."""
    with pytest.raises(kind, match=why) as told:
        followed(outbound, answer)
    assert "hush" not in str(told.value)


def test_another_token_is_another_watch() -> None:
    """A kubeconfig that was rotated is used at once; its text is shown nowhere."""
    one, two = watch_of("https://a.example"), watch_of("https://a.example", "hush-other")
    assert one == watch_of("https://a.example")
    assert len({one, two, JobWatch(None, "shop"), JobWatch(None, "web")}) == 4
    assert "hush" not in repr(one) + one.name
    assert JobWatch(None, "shop").name == "Jobs in namespace shop"


@pytest.fixture(scope="module")
def runs(kube: Kube, node: Kubelet) -> Iterator[Runs]:
    with running(kube, node, "job-watch") as made:
        yield made


@pytest.fixture
def wakes() -> list[int]:
    return []


@pytest.fixture
def watched(runs: Runs, file_ledger: SqliteLedger, wakes: list[int]) -> Iterator[Runs]:
    """Runs whose Jobs are watched."""
    runs.watches = Watches(
        runs.outbound, file_ledger, lambda: wakes.append(1), configure_logs("json")
    )
    kept = runs.now, runs.kubeconfig
    yield runs
    runs.watches.stop()
    runs.watches = None
    runs.now, runs.kubeconfig = kept


def news(runs: Runs, key: str, uid: str) -> str | None:
    assert runs.watches is not None
    watched = JobWatch(Cluster(kubeconfig=runs.kubeconfig), runs.namespace)
    return runs.watches.of_run(key.partition(".")[0]).news(watched, uid, 60)


def ready(runs: Runs, key: str, **fields: Any) -> tuple[Json, Json]:
    """Start a Job whose pod gets ready, and wait until the watch has told so; state and pod."""
    state = runs.start(key, **fields)
    pod = runs.node.pod(runs.namespace, state["name"])
    runs.node.run(pod, RUNNING)
    wait_for(lambda: '"ready": 1' in (news(runs, key, state["uid"]) or ""), PATIENCE, "the watch")
    return state, pod


def asked_by(runs: Runs, work: Callable[[], Any]) -> dict[tuple[str, str], int]:
    """How often what was asked for by this."""
    before = runs.kube.asked(runs.namespace, "postsync")
    work()
    asked = runs.kube.asked(runs.namespace, "postsync")
    return {what: count for what, count in (asked - before).items() if what[1] != "watch"}


def look(runs: Runs, key: str, state: Any, **fields: Any) -> Pending:
    outcome = runs.attempt(key, state, **fields)
    assert isinstance(outcome, Pending)
    return outcome


def woken(runs: Runs, count: int = 1) -> set[str]:
    assert runs.watches is not None
    found: list[str] = []
    watches = runs.watches

    def any_woken() -> bool:
        found.extend(watches.take_woken([]))
        return len(found) >= count

    wait_for(any_woken, PATIENCE, "the wake-ups")
    return set(found)


def test_a_job_that_goes_on_costs_no_request(watched: Runs) -> None:
    """And it is asked for once a minute all the same."""
    state, _ = ready(watched, "r-on.1")
    assert asked_by(watched, lambda: look(watched, "r-on.1", state)) == {}
    watched.now += timedelta(seconds=61)
    asked = asked_by(watched, lambda: look(watched, "r-on.1", state))
    assert asked == {("jobs", "get"): 1}
    after = look(watched, "r-on.1", state).state
    assert asked_by(watched, lambda: look(watched, "r-on.1", after)) == {}


def test_a_job_that_ends_wakes_its_run_and_is_read(watched: Runs, wakes: list[int]) -> None:
    """What decides is never what the watch has told."""
    state, pod = ready(watched, "r-end.1")
    watched.node.end(pod)
    assert woken(watched) == {"r-end"}
    assert wakes
    asked = asked_by(watched, lambda: watched.follow("r-end.1", state))
    assert asked == {("jobs", "get"): 1, ("pods", "list"): 1, ("pods/log", "get"): 1}


def test_a_job_that_is_deleted_wakes_its_run(watched: Runs) -> None:
    """It ended as its Events say, or nobody knows."""
    state, _ = ready(watched, "r-gone.1")
    path = f"/apis/batch/v1/namespaces/{watched.namespace}/jobs/{state['name']}"
    watched.kube.remove(path)
    assert woken(watched) == {"r-gone"}
    with pytest.raises(PermanentError, match="is gone before its end was seen"):
        watched.attempt("r-gone.1", state)


def test_why_a_pod_does_not_start_is_told_as_soon(watched: Runs) -> None:
    """Its pods are asked for each time, the Job is not."""
    state = watched.start("r-pull.1")
    pod = watched.node.pod(watched.namespace, state["name"])
    key = ("r-pull.1", state["uid"])
    wait_for(lambda: '"active": 1' in (news(watched, *key) or ""), PATIENCE, "the watch")
    watched.node.run(pod, PULLING, "Pending")
    told: list[Pending] = []
    asked = asked_by(watched, lambda: told.append(look(watched, "r-pull.1", state)))
    assert asked == {("pods", "list"): 1}
    assert told[0].why == "ImagePullBackOff: no such image"


def test_a_suspended_job_costs_no_request(watched: Runs) -> None:
    """However long it waits; its condition is told."""
    manifest = {"spec": {"suspend": True, "template": {"spec": {
        "containers": [{"name": "a", "image": "b"}]}}}}  # fmt: skip
    state = watched.start("r-suspended.1", manifest=manifest)
    key = ("r-suspended.1", state["uid"])
    wait_for(lambda: "Suspended" in (news(watched, *key) or ""), PATIENCE, "the watch")
    looked: list[Pending] = []
    fields = {"manifest": manifest}
    asked = asked_by(watched, lambda: looked.append(look(watched, key[0], state, **fields)))
    assert asked == {}
    assert looked[0].why == "Suspended: Job suspended"


def test_a_job_without_a_pod_is_asked_for(watched: Runs) -> None:
    """It may be given up, and the watch be behind."""
    manifest = {"spec": {"template": {"spec": {
        "serviceAccountName": "nobody", "containers": [{"name": "a", "image": "b"}]}}}}  # fmt: skip
    state = watched.start("r-podless.1", manifest=manifest)
    key = ("r-podless.1", state["uid"])
    wait_for(lambda: news(watched, *key) is not None, PATIENCE, "the watch")
    after = look(watched, key[0], state, manifest=manifest).state
    asked = asked_by(watched, lambda: look(watched, key[0], after, manifest=manifest))
    assert asked == {("jobs", "get"): 1, ("events", "list"): 1}
    watched.now += timedelta(minutes=6)
    given_up = look(watched, key[0], after, manifest=manifest)
    assert isinstance(given_up.state, dict)
    assert "had no pod for 300 s" in str(given_up.state["ended"])


@pytest.fixture
def wire(runs: Runs) -> Iterator[Relay]:
    port = int(runs.kube.url.rpartition(":")[2])
    with relay(port) as made:
        yield made


def test_a_watch_that_is_cut_a_hundred_times_misses_nothing(
    watched: Runs, wire: Relay, capsys: pytest.CaptureFixture[str]
) -> None:
    """Between the cuts runs end: each is woken, and nothing is told as a failure."""
    port = watched.kube.url.rpartition(":")[2]
    watched.kubeconfig = watched.kubeconfig.replace(f":{port}", f":{wire.port}")
    pods = [ready(watched, f"r-cut{number}.1")[1] for number in range(4)]
    uid = ready(watched, "r-stays.1")[0]["uid"]
    joined = 0

    def open_again() -> bool:
        return wire.joined > joined and news(watched, "r-stays.1", uid) is not None

    for number in range(100):
        wait_for(open_again, PATIENCE, "the next watch")
        joined = wire.joined
        if number % 25 == 10:
            watched.node.end(pods[number // 25])
        wire.cut()
    wait_for(open_again, PATIENCE, "the last watch")
    assert woken(watched, 4) == {f"r-cut{number}" for number in range(4)}
    assert "watch.failed" not in capsys.readouterr().out


def test_while_the_watch_is_cut_a_job_is_asked_for(watched: Runs, wire: Relay) -> None:
    """What it told last may be old."""
    port = watched.kube.url.rpartition(":")[2]
    direct = watched.kubeconfig
    watched.kubeconfig = direct.replace(f":{port}", f":{wire.port}")
    state, _ = ready(watched, "r-away.1")
    wire.close()
    wait_for(lambda: news(watched, "r-away.1", state["uid"]) is None, PATIENCE, "the cut")
    with pytest.raises(TemporaryError):
        watched.attempt("r-away.1", state)


def test_two_clusters_are_two_watches(watched: Runs, wire: Relay) -> None:
    """Each by its own address and token."""
    state, _ = ready(watched, "r-two.1")
    port = watched.kube.url.rpartition(":")[2]
    watched.kubeconfig = watched.kubeconfig.replace(f":{port}", f":{wire.port}")
    assert news(watched, "r-two.1", state["uid"]) is None
    wait_for(lambda: news(watched, "r-two.1", state["uid"]) is not None, PATIENCE, "the other")
