"""Two that take notifications and two that work, on one database, as an operator starts them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
import pytest
from commands import synced, told, typed
from notifications import notification, resource
from service import Service, Target, wait_for
from shared_hosts import PAGE, Hosts, migrated, shared

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("shared-ledger")]

RESTORE = re.compile(r"<!-- restore -->\n```sh\n(.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    made = Target()
    yield made
    made.close()


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory, target: Target) -> Iterator[Hosts]:
    with shared(tmp_path_factory.mktemp("hosts"), target) as started:
        yield started


@pytest.fixture(autouse=True)
def _prompt_target(target: Target) -> Iterator[None]:
    yield
    target.delay = 0.0
    target.statuses = []


def test_one_sync_that_comes_to_both_is_acted_upon_once(hosts: Hosts) -> None:
    """One says accepted and the other duplicate; either tells the whole story."""
    body = notification(resource("twice"), application="shop-twice")
    gate = threading.Barrier(2)

    def post(intake: Service) -> tuple[int, Any]:
        gate.wait()
        return intake.request("POST", "/v1/notifications", body)

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(post, hosts.intakes))
    assert [status for status, _ in answers] == [202, 202]
    assert sorted(answer["verdict"] for _, answer in answers) == ["accepted", "duplicate"]
    sync = str(answers[0][1]["sync"])
    stories = [intake.ended(sync) for intake in hosts.intakes]
    assert stories[0] == stories[1]
    assert len(hosts.calls("twice")) == 1


def test_the_work_is_shared(hosts: Hosts) -> None:
    """Each worker takes a part of what is due, and no run is taken twice."""
    hosts.target.delay = 0.1
    names = [f"part-{number}" for number in range(24)]
    sync = synced(hosts.intakes[0], *names, application="shop-shared")
    hosts.intakes[1].ended(sync)
    assert [len(hosts.calls(name)) for name in names] == [1] * len(names)
    shares = [
        sum(event["sync"] == sync for event in worker.events("attempt.started"))
        for worker in hosts.workers
    ]
    assert sum(shares) == len(names)
    assert min(shares) > 0


def test_commands_work_against_either(hosts: Hosts) -> None:
    """What one was told, the other knows."""
    first, second = hosts.intakes
    hosts.target.statuses = [404]
    sync = synced(first, "either", application="shop-either")
    second.ended(sync)
    [run] = told(second, "runs", "--sync", sync)
    assert run["state"] == "failed"
    assert told(second, "retry", run["id"])
    assert first.ended(sync)["plans"][0]["state"] == "succeeded"
    assert f"sync {sync}" in typed(first, "show", sync).stdout
    tails = [
        typed(one, "tail", "--application", "shop-either", "--since", "1h").stdout
        for one in hosts.intakes
    ]
    assert "attempt.succeeded" in tails[0]
    assert tails[0] == tails[1]


def test_a_pause_holds_everywhere(hosts: Hosts) -> None:
    """No worker begins an attempt while the rule is paused, whoever paused it."""
    first, second = hosts.intakes
    told(first, "pause", "--rule", "purge", "--reason", "a test")
    sync = synced(second, "paused", application="shop-paused")
    wait_for(lambda: bool(first.story(sync)["plans"]), 10, "its plan")
    assert [one["name"] for one in told(second, "pauses")] == ["purge"]
    told(second, "resume", "--rule", "purge")
    story = first.ended(sync)
    [began] = [event for event in story["events"] if event["event"] == "attempt.started"]
    tail = typed(first, "tail", "--event", "pause.*", "--output", "json").stdout.splitlines()
    assert [json.loads(line)["event"] for line in tail] == ["pause.set", "pause.lifted"]
    assert began["seq"] > json.loads(tail[-1])["seq"]


def test_a_limit_of_one_holds_across_the_workers(hosts: Hosts) -> None:
    """Plans with one key work one after another, wherever their attempts are made."""
    hosts.target.delay = 0.3
    names = [f"lane-{number}" for number in range(6)]
    syncs = [
        synced(intake, name, application=name)
        for intake, name in zip(hosts.intakes * 3, names, strict=True)
    ]
    for sync in syncs:
        hosts.intakes[0].ended(sync, 30)
    at = sorted(call["at"] for name in names for call in hosts.calls(name))
    assert len(at) == len(names)
    gaps = [later - earlier for earlier, later in pairwise(at)]
    assert min(gaps) >= hosts.target.delay


def test_what_collects_is_one_plan_for_all_hosts(hosts: Hosts) -> None:
    """Syncs that come to either host within the window are one action."""
    names = [f"many-{number}" for number in range(6)]
    syncs = [
        synced(intake, name, application="many")
        for intake, name in zip(hosts.intakes * 3, names, strict=True)
    ]
    for sync in syncs:
        hosts.intakes[1].ended(sync, 40)
    [call] = hosts.calls("many")
    assert all(f'"{name}"' in call["body"] for name in names)


def test_a_newer_sync_supersedes_what_waits(hosts: Hosts) -> None:
    """Only the first, which had begun, and the newest are acted upon."""
    hosts.target.delay = 2.0
    syncs = []
    for number, intake in enumerate(hosts.intakes * 2):
        body = notification(
            resource("fast"), application="fast",
            syncResult={"revision": f"fast-{number}", "resources": [resource("fast")]},
        )  # fmt: skip
        status, answer = intake.request("POST", "/v1/notifications", body)
        assert status == 202
        syncs.append(answer["sync"])
        if number == 0:
            wait_for(lambda: bool(hosts.calls("fast-0")), 10, "the first attempt")
    states = [hosts.intakes[0].ended(sync)["plans"][0]["state"] for sync in syncs]
    assert states == ["succeeded", "superseded", "superseded", "succeeded"]
    assert [len(hosts.calls(f"fast-{number}")) for number in range(4)] == [1, 0, 0, 1]


def test_what_is_held_is_told_once_whoever_holds_it(hosts: Hosts) -> None:
    """Also where one of those that plan is killed meanwhile."""
    syncs = [
        synced(hosts.intakes[number % 2], "a", application=f"held-{number}") for number in range(12)
    ]
    first = hosts.intakes[0]
    wait_for(lambda: bool(told(first, "runs", "--state", "held")), 20, "a held run")
    hosts.workers[0].kill()
    hosts.workers[0].start()

    def held() -> list[str]:
        return [plan["id"] for sync in syncs for plan in first.story(sync)["plans"]]

    def all_told() -> bool:
        return len(plans := held()) == 12 and all(hosts.calls(plan) for plan in plans)

    wait_for(all_told, 30, "all to be told")
    own = (
        "SELECT COUNT(*), COUNT(DISTINCT application) FROM syncs "
        "WHERE channel = 'postsync' AND application LIKE '%/held-%'"
    )
    assert hosts.server.run(own, "postsync") == "12|12"


def test_what_expires_is_cancelled_once_whoever_does_it(hosts: Hosts) -> None:
    """And told at most once before."""
    syncs = [
        synced(hosts.intakes[number % 2], "a", application=f"brief-{number}") for number in range(8)
    ]
    for sync in syncs:
        story = hosts.intakes[0].ended(sync)
        (plan,) = story["plans"]
        assert (plan["state"], plan["runs"][0]["state"]) == ("failed", "cancelled")
        names = [event["event"] for event in story["events"]]
        assert names.count("run.cancelled") == 1
        assert names.count("run.expiring") <= 1


def test_the_other_worker_takes_over(hosts: Hosts) -> None:
    """What a killed worker had under way is made again with the same idempotency key."""
    hosts.target.delay = 30.0
    sync = synced(hosts.intakes[0], "orphan", application="shop-orphan")
    wait_for(lambda: bool(hosts.calls("orphan")), 10, "the attempt")
    [run] = hosts.intakes[0].story(sync)["plans"][0]["runs"]
    victim = hosts.busy(run["id"])
    hosts.target.delay = 0.0
    victim.kill()
    story = hosts.intakes[1].ended(sync, 30)
    assert story["plans"][0]["state"] == "succeeded"
    calls = hosts.calls("orphan")
    assert len(calls) == 2
    assert len({call["headers"]["Idempotency-Key"] for call in calls}) == 1
    assert hosts.busy(run["id"]) is not victim
    victim.start()


def test_a_database_that_is_away_is_waited_for(hosts: Hosts) -> None:
    """503 with a Retry-After, no process ends, and what was accepted is all done afterwards."""
    before = [part.process and part.process.pid for part in hosts.intakes + hosts.workers]
    hosts.target.delay = 1.0
    accepted = [
        synced(intake, f"kept-{number}", application=f"shop-kept-{number}")
        for number, intake in enumerate(hosts.intakes)
    ]
    hosts.server.stop()
    refused = notification(resource("later"), application="shop-later")
    for intake in hosts.intakes:
        status, answer = intake.request("POST", "/v1/notifications", refused)
        assert (status, answer["status"]) == (503, 503)
        assert intake.request("GET", "/healthz")[0] == 200
        assert intake.request("GET", "/readyz")[0] == 503
    for worker in hosts.workers:
        assert worker.request("GET", "/healthz")[0] == 200
    hosts.server.start()
    for part in hosts.intakes + hosts.workers:
        wait_for(part._ready, 30, f"{part.home.name} to be ready again")
    status, answer = hosts.intakes[0].request("POST", "/v1/notifications", refused)
    assert (status, answer["verdict"]) == (202, "accepted")
    for sync in (*accepted, answer["sync"]):
        plans = hosts.intakes[1].ended(sync, 40)["plans"]
        assert [plan["state"] for plan in plans] == ["succeeded"]
    assert before == [part.process and part.process.pid for part in hosts.intakes + hosts.workers]
    assert all(part.process and part.process.poll() is None for part in hosts.workers)


def test_the_processes_role_can_make_no_table(hosts: Hosts) -> None:
    """It writes rows, and that is all; a migration with nothing to do needs no more."""
    with psycopg.connect(hosts.url) as connection:
        for statement in ("CREATE TABLE more (id int)", "DROP TABLE runs", "TRUNCATE runs"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
                connection.execute(statement.encode())
    done = migrated(hosts.url)
    assert "there was nothing to do" in done.stdout, done.stderr


def test_all_end_well_when_they_are_told_to(hosts: Hosts) -> None:
    """SIGTERM is 0 for each of them, and none has written anything to its home."""
    assert [part.stop() for part in (*hosts.intakes, *hosts.workers)] == [0, 0, 0, 0]
    for intake in hosts.intakes:
        assert {path.name for path in intake.home.iterdir()} == {
            "senders",
            "operators",
            "extensions",
            "stdout.log",
        }
    for worker in hosts.workers:
        assert {path.name for path in worker.home.iterdir()} == {"rules.yaml", "stdout.log"}


def test_a_dump_is_put_back_as_the_page_says(hosts: Hosts, tmp_path: Path) -> None:
    """By the owner, over what is there; the processes' role finds its rows, and no right more."""
    count = "SELECT count(*), max(seq) FROM audit_events"
    before = hosts.server.run(count, "postsync")
    [script] = RESTORE.findall(PAGE)
    dump, _, restore = script.partition("\n")
    lose = 'psql "$OWNER_URL" --command "DELETE FROM audit_events"\n'
    owner = hosts.url.replace("postsync_app", "postsync_owner")
    done = subprocess.run(
        ["bash", "-euxo", "pipefail", "-c", f"{dump}\n{lose}{restore}"], cwd=tmp_path,
        env=os.environ | {"OWNER_URL": owner}, text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    with psycopg.connect(hosts.url) as connection:
        assert connection.execute(count.encode()).fetchone() == tuple(map(int, before.split("|")))
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("DROP TABLE audit_events")
