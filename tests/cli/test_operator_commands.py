"""The commands with which an operator looks and acts, against a whole service."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from commands import RULES, failed, synced, told, typed, typed_on_terminal
from service import POSTSYNC, ROOT, Service, Target, serving, wait_for


@pytest.fixture
def service(tmp_path: Path, target: Target) -> Iterator[Service]:
    with serving(tmp_path / "home", RULES.format(url=target.url)) as made:
        yield made


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service whose one sync has ended, for tests that leave it so."""
    target = Target()
    home = tmp_path_factory.mktemp("used")
    with closing(target), serving(home, RULES.format(url=target.url)) as made:
        made.ended(synced(made, "a"))
        yield made


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service to which nothing happens."""
    with serving(tmp_path_factory.mktemp("idle"), "version: 1\nrules: []\n") as made:
        yield made


def states(service: Service, sync: str) -> dict[str, str]:
    story = service.story(sync)
    return {run["target"]: run["state"] for plan in story["plans"] for run in plan["runs"]}


def test_runs_are_listed_and_filtered(service: Service, target: Target) -> None:
    """A table with whole ids for people, the API's rows for programs."""
    target.statuses = [404]
    sync = failed(service, "a")
    [run] = told(service, "runs", "--state", "failed", "--rule", "purge-shop-assets")
    assert (run["sync"], run["action"], run["target"]) == (sync, "purge", "ConfigMap/shop/a")
    heading, line = typed(service, "runs", "--state", "failed").stdout.splitlines()
    assert heading.split()[:3] == ["RUN", "STATE", "RULE"]
    assert line.split()[:3] == [run["id"], "failed", "purge-shop-assets"]
    both = told(service, "runs", "--state", "failed", "--state", "skipped", "--sync", sync)
    assert {one["state"] for one in both} == {"failed", "skipped"}
    assert len(told(service, "runs", "--limit", "1")) == 1
    assert typed(service, "runs", "--handler", "no.such").stdout == "no run is like that\n"


def test_a_failed_run_is_retried_by_its_id(service: Service, target: Target) -> None:
    """And what it had skipped comes after it."""
    target.statuses = [404]
    sync = failed(service, "a")
    [run] = told(service, "runs", "--state", "failed")
    done = typed(service, "retry", run["id"])
    assert (done.returncode, done.stdout) == (0, "1 run retried\n")
    service.ended(sync)
    assert states(service, sync) == {"ConfigMap/shop/a": "succeeded", "application": "succeeded"}


def test_many_are_retried_after_a_yes(service: Service, target: Target) -> None:
    """It shows how many and of what; a no leaves them as they are."""
    target.statuses = [404, 404]
    sync = failed(service, "a", "b")
    arguments = ["retry", "--rule", "purge-shop-assets", "--since", "1h"]
    done = typed(service, *arguments, answer="n\n")
    assert done.returncode == 1
    assert "2  failed runs of purge-shop-assets purge" in done.stderr
    assert "Retry 2 runs that failed?" in done.stderr
    assert len(told(service, "runs", "--state", "failed")) == 2
    assert typed(service, *arguments, answer="y\n").stdout == "2 runs retried\n"
    service.ended(sync)
    assert set(states(service, sync).values()) == {"succeeded"}
    assert told(service, "retry", "--all", "--yes") == {"retried": 0, "runs": [], "refused": {}}


def test_a_sync_is_replayed(service: Service, target: Target) -> None:
    """By one rule; its plan belongs to the same sync, and is done again."""
    sync = synced(service, "a")
    service.ended(sync)
    done = typed(service, "replay", "last", "--rule", "purge-shop-assets")
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(rf"replay   y-\w+\nnext     postsync show {sync}\n", done.stdout)
    wait_for(lambda: len(target.seen) == 2, 10, "the second purge")
    service.ended(sync)
    assert len(service.story(sync)["plans"]) == 2


def test_a_held_plan_is_approved(service: Service) -> None:
    """By its id; once, and not a second time."""
    sync = synced(service, "a", "b", application="blog")
    wait_for(lambda: bool(service.story(sync)["plans"]), 10, "the plan")
    [plan] = told(service, "plans", "--state", "held")
    assert (plan["sync"], plan["rule"]) == (sync, "guarded")
    assert plan["id"] in typed(service, "plans", "--rule", "guarded").stdout
    assert typed(service, "approve", plan["id"], "--reason", "meant").returncode == 0
    assert service.ended(sync)["plans"][0]["state"] == "succeeded"
    again = typed(service, "approve", plan["id"])
    assert (again.returncode, "409" in again.stderr) == (1, True)


def test_a_plan_is_cancelled_after_a_yes(service: Service) -> None:
    """So is a whole sync; a run needs no yes."""
    sync = synced(service, "a", "b", application="blog")
    wait_for(lambda: bool(service.story(sync)["plans"]), 10, "the plan")
    assert typed(service, "cancel", sync, answer="n\n").returncode == 1
    assert service.story(sync)["plans"][0]["state"] == "held"
    done = typed(service, "cancel", sync, "--reason", "rolled back", "--yes")
    assert (done.returncode, done.stdout) == (0, f"cancelled {sync}, 2 runs\n")
    assert service.ended(sync)["plans"][0]["state"] == "cancelled"


@pytest.mark.parametrize(
    "scope", [["--all"], ["--rule", "purge-shop-assets"], ["--handler", "log.message"]]
)
def test_what_is_paused_is_listed_until_it_is_resumed(used: Service, scope: list[str]) -> None:
    """Of all, of a rule, of a handler; with who and why."""
    assert typed(used, "pauses").stdout == "nothing is paused\n"
    assert typed(used, "pause", *scope, "--reason", "the CDN is down").returncode == 0
    [pause] = told(used, "pauses")
    assert (pause["name"], pause["by"], pause["reason"]) == (
        "".join(scope[1:]), "test", "the CDN is down"
    )  # fmt: skip
    assert "the CDN is down" in typed(used, "pauses").stdout
    assert typed(used, "resume", *scope).stdout.startswith("resumed ")
    assert "was not paused" in typed(used, "resume", *scope).stdout


def test_a_pause_of_all_has_to_be_said(idle: Service) -> None:
    """Who forgot the rule must not stop everything; a script learns what to write."""
    done = typed(idle, "pause", "--reason", "the CDN is down")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--rule NAME, --handler NAME, or --all" in done.stderr
    assert told(idle, "pauses") == []


@pytest.mark.parametrize("answer", ["n", "y"])
def test_on_a_terminal_a_pause_asks_whether_all_is_meant(idle: Service, answer: str) -> None:
    """A yes pauses all, a no nothing; the other scopes are named."""
    code, shown = typed_on_terminal(idle, "pause", answer=f"{answer}\n")
    paused = [pause["scope"] for pause in told(idle, "pauses")]
    typed(idle, "resume", "--all")
    assert "--rule NAME pauses one rule" in shown
    assert "Pause all of them? [y/N]" in shown
    assert (code, paused) == ((0, ["all"]) if answer == "y" else (1, []))


def test_a_pause_of_a_mistyped_rule_says_so(used: Service) -> None:
    """It is set, for a rule that may be about to come, and warned of on stderr."""
    done = typed(used, "pause", "--rule", "purge-shop-asset")
    assert (done.returncode, done.stdout) == (0, "paused rule purge-shop-asset\n")
    assert "did you mean purge-shop-assets?" in done.stderr
    typed(used, "resume", "--rule", "purge-shop-asset")


def test_a_run_and_a_plan_are_shown_in_the_story_of_their_sync(service: Service) -> None:
    """Their ids stand in every list, so they are what an operator has at hand."""
    sync = synced(service, "a", application="blog")
    wait_for(lambda: bool(service.story(sync)["plans"]), 10, "the plan")
    plan = service.story(sync)["plans"][0]
    for number in (plan["id"], plan["runs"][0]["id"]):
        assert f"sync {sync}" in typed(service, "show", number).stdout
    assert "there is no run r-1" in typed(service, "show", "r-1").stderr


def test_a_paused_rule_starts_nothing(service: Service, target: Target) -> None:
    """Its sync is taken and planned, and done when the pause is lifted."""
    typed(service, "pause", "--rule", "purge-shop-assets")
    sync = synced(service, "a")
    wait_for(lambda: bool(told(service, "runs", "--sync", sync, "--state", "due")), 20, "the plan")
    assert target.seen == []
    typed(service, "resume", "--rule", "purge-shop-assets")
    assert service.ended(sync)["plans"][0]["state"] == "succeeded"


def test_tail_follows_over_a_restart_and_ends_quietly(service: Service) -> None:
    """Each event once, from the first on; Ctrl-C is no error."""
    first = synced(service, "a")
    service.ended(first)
    with subprocess.Popen(
        [*POSTSYNC, "tail", "-f", "--event", "notification.*", "--output", "json"], cwd=ROOT,
        env=service.environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as following:  # fmt: skip
        try:
            assert following.stdout
            lines = [json.loads(following.stdout.readline())]
            service.stop()
            service.start()
            second = synced(service, "b")
            lines.append(json.loads(following.stdout.readline()))
            following.send_signal(signal.SIGINT)
            rest, complaints = following.communicate(timeout=20)
        finally:
            following.kill()
    assert (following.returncode, rest, "Aborted" in complaints) == (0, "", False)
    assert [line["sync"] for line in lines] == [first, second]


def test_tail_shows_lines_without_colours_in_a_pipe(service: Service, target: Target) -> None:
    """With the whole time, and filtered by rule, sync and event."""
    target.statuses = [404]
    sync = failed(service, "a")
    synced(service, "x", application="blog")
    out = typed(service, "tail", "--rule", "purge-shop-assets", "--event", "attempt.*").stdout
    assert "\x1b" not in out
    assert [line.split()[1] for line in out.splitlines()] == ["attempt.started", "attempt.failed"]
    assert out.startswith("20")
    only = typed(service, "tail", "--sync", sync).stdout
    assert f"sync={sync}" in only
    assert typed(service, "tail", "--since", "2020-01-01T00:00:00Z", "--sync", sync).stdout == only


def test_export_is_the_whole_trail_and_can_go_on(service: Service) -> None:
    """A line for each event of the ledger, in order; --after begins behind one."""
    service.ended(synced(service, "a", "b", "c"))
    done = typed(service, "export")
    assert (done.returncode, done.stderr) == (0, "")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    rows = service.query("SELECT seq, name FROM audit_events ORDER BY seq")
    assert [(line["seq"], line["event"]) for line in lines] == rows
    half = str(rows[len(rows) // 2][0])
    rest = typed(service, "export", "--after", half).stdout
    assert done.stdout.endswith(rest)
    assert json.loads(rest.splitlines()[0])["seq"] == rows[len(rows) // 2 + 1][0]
    assert typed(service, "export", "--since", "1h").stdout == done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["runs", "--rule", "guardd"], "no rule guardd is in force"),
        (["plans", "--rule", "guardd"], "did you mean guarded?"),
        (["tail", "--rule", "guardd"], "did you mean guarded?"),
        (["runs", "--handler", "log.mesage"], "did you mean log.message?"),
        (["syncs", "--application", "shpo"], "did you mean shop?"),
        (["retry", "--rule", "guardd"], "did you mean guarded?"),
        (["retry", "--rule", "guardd", "--yes"], "did you mean guarded?"),
    ],
)
def test_a_filter_by_a_name_that_nothing_has_says_so(
    used: Service, arguments: list[str], words: str
) -> None:
    """Once, on stderr; what stands on stdout is for programs as it was."""
    done = typed(used, *arguments)
    assert done.returncode == 0
    assert done.stderr.startswith("warning: ")
    assert done.stderr.count(words) == 1
    assert words not in done.stdout


def test_a_replay_of_a_mistyped_rule_is_refused(used: Service) -> None:
    """Nothing is asked of the dispatcher, and a script stops there."""
    done = typed(used, "replay", "last", "--rule", "guardd")
    assert (done.returncode, done.stdout) == (1, "")
    assert "no rule guardd is in force" in done.stderr
    assert "did you mean guarded?" in done.stderr
    assert used.query("SELECT COUNT(*) FROM replays") == [(0,)]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["retry", "r-000000000000000000"], 1, "r-000000000000000000"),
        (["retry"], 2, "--all"),
        (["retry", "r-1", "--all"], 2, "--all"),
        (["retry", "newest"], 2, "'newest' is not the id of a run (r-...)"),
        (["replay", "s-000000000000000000"], 1, "s-000000000000000000"),
        (["replay", "last"], 1, "last"),
        (["cancel", "x-1"], 2, "not the id of a run (r-...)"),
        (["approve", "s-1"], 2, "not the id of a plan (p-...)"),
        (["pause", "--rule", "a", "--handler", "b"], 2, "either --rule or --handler"),
        (["pause", "--rule", "a", "--all"], 2, "or --all"),
        (["runs", "--state", "fialed"], 2, "'failed'"),
        (["plans", "--state", "hold"], 2, "'held'"),
        (["syncs", "--state", "plannd"], 2, "'planned'"),
        (["syncs", "--state", "collecting"], 2, "there is `postsync plans --state collecting`"),
        (["show", "argocd/shop"], 2, "`postsync syncs --application NAMESPACE/NAME`"),
        (["runs", "--since", "yesterday"], 1, "since"),
        (["tail", "--since", "yesterday"], 1, "since"),
        (["show", "s-nothing"], 1, "`postsync syncs`"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told_with_the_way_out(
    idle: Service, arguments: list[str], code: int, words: str
) -> None:
    """One message with the server's hint, and the exit code that scripts go by."""
    done = typed(idle, *arguments)
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
