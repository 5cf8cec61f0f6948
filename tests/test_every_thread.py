"""Each thread of ours, broken off by what it works with: it begins again, and its work is done."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
import structlog
from certificates import make, needs_openssl
from notifications import notification, resource
from planning import claimed_run
from postgres import Databases
from service import Service, wait_for
from sqlalchemy import text
from third_party import distribution
from toy_argocd import ToyArgoCd, application

from receiver.core.logs import configure_logs
from receiver.core.model import Outcome, OutcomeKind
from receiver.core.threads import deaths
from receiver.dispatcher.gap_repair import GapRepair
from receiver.dispatcher.retention_thread import RetentionThread
from receiver.dispatcher.worker_pool import Finished, WorkerPool
from receiver.ledger.engine.ledger import Ledger, LockMode
from receiver.ledger.engine.pg_listen import Listener
from receiver.ledger.engine.postgres import open_postgres
from receiver.ledger.inbox.deliveries import Arrival
from receiver.ledger.inbox.group_commit import IntakeWriter
from receiver.ledger.queue.claim import ClaimedRun
from receiver.ledger.retention.policy import Policy
from receiver.notification.parse import read_notification
from receiver.outbound.guard import Watchdog
from receiver.settings.model import Settings
from receiver.web.thread_pools import Pool, ThreadPools
from receiver.web.tls import Tls

pytestmark = pytest.mark.usefixtures("steady_at_once")


class Breaking:
    """Something that a thread calls: it breaks off once, and goes well from then on."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, *_: Any) -> Any:
        self.calls += 1
        if self.calls == 1:
            raise SystemExit(1)


@pytest.fixture
def breaking() -> Breaking:
    return Breaking()


def dead(thread: str, before: int) -> Callable[[], bool]:
    return lambda: deaths()[thread] == before + 1


def test_the_intakes_writer(file_ledger: Ledger, breaking: Breaking) -> None:
    """What is told after a commit breaks it off; the next notification is stored."""
    writer = IntakeWriter(file_ledger, breaking)
    writer.start()
    before = deaths()["intake-writer"]
    for name in ("a", "b"):
        body = notification(resource(name), application=name)
        read = read_notification(body, sender="argocd", channel="sync", query={})
        receipt = writer.submit(Arrival("argocd", "sync", body, datetime.now(UTC), read))
        assert receipt.sync
    wait_for(dead("intake-writer", before), 10, "its death")
    writer.stop()


def test_housekeeping(file_ledger: Ledger, breaking: Breaking) -> None:
    """What its round tells of breaks it off; the next round comes."""
    row = {"sender": "a", "channel": "sync", "verdict": "refused", "reason": "not_json"}

    def fill(name: str) -> None:
        with file_ledger.write() as connection:
            connection.execute(
                text(
                    "INSERT INTO deliveries (id, received_at, sender, channel, verdict, reason, "
                    "size, query, body) VALUES (:id, 0, :sender, :channel, :verdict, :reason, 1, "
                    "'{}', '')"
                ),
                row | {"id": name},
            )

    fill("d-1")
    log = configure_logs("json")
    keeping = RetentionThread(
        file_ledger, Policy(86_400, 86_400, 86_400), breaking, log, every=0.05
    )
    before = deaths().get("housekeeping", 0)
    keeping.start()
    wait_for(lambda: breaking.calls == 1, 10, "the first round")
    wait_for(dead("housekeeping", before), 10, "its death")
    fill("d-2")
    wait_for(lambda: breaking.calls == 2, 10, "the next round")
    keeping.stop()


@pytest.mark.parametrize("thread", ["application-watch-argocd", "gap-repair-argocd"])
def test_the_threads_of_gap_repair(file_ledger: Ledger, breaking: Breaking, thread: str) -> None:
    """What asks Argo CD breaks it off; the operation is recovered all the same."""
    argocd = ToyArgoCd()
    way = "watch" if thread.startswith("application") else "application"
    ask = getattr(argocd, way)

    def broken(*asked: Any) -> Any:
        breaking()
        return ask(*asked)

    setattr(argocd, way, broken)
    own = {"kubernetes": {"inCluster": True}, "intake": "watch"}
    end = datetime.now(UTC)
    settings = Settings(argocd={"argocd": own}, act_since=end - timedelta(hours=1))
    argocd.put(application("shop", started=end - timedelta(seconds=9), finished=end))
    stored: list[int] = []
    repair = GapRepair(
        "argocd", argocd, file_ledger, settings, lambda: stored.append(1), configure_logs("json")
    )
    before = deaths().get(thread, 0)
    repair.start()
    wait_for(lambda: bool(stored), 20, "the recovery")
    assert deaths()[thread] == before + 1
    argocd.over = True
    repair.stop()


def test_the_listener(ledgers: Databases, breaking: Breaking) -> None:
    """What it rings breaks it off; it listens again."""
    with ledgers.database() as url, closing(open_postgres(url)) as ledger:
        listener = Listener(url, breaking)
        listener.start()
        before = deaths()["listener"]
        wait_for(dead("listener", before), 10, "its death")
        wait_for(lambda: breaking.calls == 2, 10, "its next life")
        with ledger.write(LockMode.APPEND) as connection:
            ledger.notify(connection)
        wait_for(lambda: breaking.calls > 2, 10, "a ring")
        listener.stop()


def test_the_watchdog(breaking: Breaking) -> None:
    """What is no socket breaks it off; the next connection is shut down in its time."""
    dog = Watchdog()
    before = deaths().get("watchdog", 0)
    ours, theirs = socket.socketpair()
    with closing(ours), closing(theirs):
        dog.watch(breaking, 0.0)  # type: ignore[arg-type]  # that is the point
        wait_for(dead("watchdog", before), 10, "its death")
        dog.watch(ours, time.monotonic())
        theirs.settimeout(10)
        assert theirs.recv(1) == b""
    dog.stop()


@needs_openssl
def test_the_watcher_of_the_certificate(tmp_path: Path) -> None:
    """Who is told of a new one breaks it off; the one after it is served."""
    certificate, key = make(tmp_path)
    told: list[str] = []

    def line(_logger: Any, _method: str, event: Any) -> Any:
        told.append(event["event"])
        if len(told) == 2:
            raise SystemExit(1)
        raise structlog.DropEvent

    log = structlog.wrap_logger(
        None, [line], wrapper_class=structlog.make_filtering_bound_logger("info")
    )
    tls = Tls(certificate, key, log)
    tls.start()
    before = deaths()["tls"]
    make(tmp_path)
    wait_for(dead("tls", before), 20, "its death")
    seen = tls.current.fingerprint
    make(tmp_path)
    wait_for(lambda: tls.current.fingerprint != seen, 20, "the next certificate")


@pytest.mark.parametrize("pool", Pool)
def test_the_threads_of_requests(pool: Pool, breaking: Breaking) -> None:
    """What answers a request breaks it off: that is told, and the next request is answered."""
    pools, result = ThreadPools(1), SimpleQueue[str | None]()
    pools.start()
    before = deaths()[pool]
    pools.submit(pool, breaking, result.put)
    assert result.get(timeout=10) is None
    wait_for(dead(pool, before), 10, "its death")
    pools.submit(pool, lambda: "answered", result.put)
    assert result.get(timeout=10) == "answered"
    pools.shutdown()


def test_a_thread_of_attempts() -> None:
    """What makes attempts breaks it off: that run fails, and the next has its thread."""

    def work(run: ClaimedRun) -> Outcome:
        if run.id == "r-1":
            raise SystemExit(1)
        return Outcome(OutcomeKind.SUCCEEDED)

    crew = WorkerPool(1, work, lambda: None, configure_logs("json"), lane_limit=1)
    before = deaths()["attempt"]
    assert made(crew, "r-1").outcome.kind is OutcomeKind.PERMANENT
    wait_for(dead("attempt", before), 10, "its death")
    assert made(crew, "r-2").outcome.kind is OutcomeKind.SUCCEEDED


def made(crew: WorkerPool, name: str) -> Finished:
    crew.start(claimed_run(name))
    ended: list[Finished] = []

    def done() -> bool:
        ended.extend(crew.take_finished())
        return bool(ended)

    wait_for(done, 10, name)
    return ended[0]


KILLER = """
import ctypes, threading
from receiver.contract import Handler, Params, Succeeded

class Named(Params):
    '''Names a thread.'''
    thread: str

def kill(params, call):
    '''Raise SystemExit in another thread of this process.'''
    (found,) = [one for one in threading.enumerate() if one.name == params.thread]
    leave = ctypes.py_object(SystemExit)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(found.ident), leave)
    return Succeeded()

handlers = [
    Handler(name="bad.kill", summary="Kills.", params=Named, run=kill, example="thread: rules")
]
"""
RULES = """
version: 1
rules:
- name: kill
  match: {application: {name: killer}, resources: [{kind: ConfigMap}]}
  actions: [{uses: bad.kill, with: {thread: rules}}]
"""


@pytest.mark.slow
def test_a_thread_of_the_dispatcher_that_dies_is_told_by_the_intakes_probe(tmp_path: Path) -> None:
    """Across the processes: the log, `/healthz` and the metrics; then it goes on as before."""
    site = distribution(tmp_path / "site", "bad_killer", KILLER)
    service = Service(tmp_path / "home", RULES)
    service.environ["PYTHONPATH"] = str(site)
    try:
        service.start()
        assert service.request("GET", "/healthz")[0] == 200
        body = notification(resource("a"), application="killer")
        service.ended(service.request("POST", "/v1/notifications", body)[1]["sync"])
        wait_for(lambda: bool(service.events("thread.died")), 20, "the death")
        wait_for(lambda: service.request("GET", "/healthz")[0] == 503, 20, "the probe")
        _, answer = service.request("GET", "/healthz")
        assert answer["reasons"] == ["the dispatcher: the thread rules broke off: SystemExit"]
        wait_for(lambda: service.request("GET", "/healthz")[0] == 200, 30, "its recovery")
        service.rules.write_text(RULES.replace("name: kill\n", "name: edited\n"))
        wait_for(lambda: len(service.events("rules.loaded")) == 2, 20, "the edit")
        rows = service.query("SELECT labels, value FROM counters WHERE name LIKE 'thread_deaths%'")
        died = {json.loads(labels)["thread"]: value for labels, value in rows}
        assert died.pop("rules") == 1
        assert set(died.values()) == {0}  # from the start, or Prometheus would see no increase
    finally:
        if service.process:
            service.kill()
