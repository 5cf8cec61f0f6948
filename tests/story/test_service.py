"""`postsync serve` as an operator meets it."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from forked import postsync
from notifications import notification, resource
from service import POSTSYNC, ROOT, Service, Target, serving, wait_for

from receiver.core.model import rfc3339

CALL = """
version: 1
rules:
- name: call
  match: {{resources: [{{kind: ConfigMap}}]}}
  retry: {{for: 1m, initialDelay: 50ms, maxDelay: 100ms}}
  actions:
  - name: first
    uses: http.request
    with: {{url: "{url}", json: {{name: "${{{{ resource.name }}}}"}}}}
  - name: then
    uses: http.request
    wave: 1
    target: application
    with: {{url: "{url}", json: {{status: "${{{{ actions.first.runs[0].output.status }}}}"}}}}
  onFailure:
  - uses: log.message
    with: {{text: "failed: ${{{{ failure.message }}}}"}}
"""


def send(service: Service, *names: str, **options: object) -> dict[str, str]:
    body = notification(*(resource(name) for name in names), **options)  # type: ignore[arg-type]  # test's options
    status, answer = service.request("POST", "/v1/notifications", body)
    assert status == 202, answer
    return dict(answer)


def test_the_main_job(tmp_path: Path, target: Target) -> None:
    """Two resources are called for, then the application with their output; all is on the trail."""
    with serving(tmp_path, CALL.format(url=target.url)) as service:
        story = service.ended(send(service, "a", "b")["sync"])
        assert [json.loads(call["body"]) for call in target.seen[2:]] == [{"status": 200}]
        assert {json.loads(call["body"])["name"] for call in target.seen[:2]} == {"a", "b"}
        names = [event["event"] for event in story["events"]]
        assert names[:3] == ["notification.accepted", "sync.planned", "rule.matched"]
        assert (names.count("attempt.succeeded"), names[-1]) == (3, "plan.succeeded")
        lines = [line["event"] for line in _lines(service) if line.get("sync") == story["id"]]
        assert lines == names
        assert service.stop() == 0


def _lines(service: Service) -> list[dict[str, str]]:
    lines = service.log.read_text().splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


def test_what_fails_for_a_while_is_tried_again_with_the_same_key(
    tmp_path: Path, target: Target
) -> None:
    """A 503 and a 429 cost two attempts, and the other side can tell that it is one thing."""
    target.statuses = [503, 429]
    with serving(tmp_path, CALL.format(url=target.url)) as service:
        story = service.ended(send(service, "a")["sync"])
        run = next(run for run in story["plans"][0]["runs"] if run["action"] == "first")
        assert [one["outcome"] for one in run["tries"]] == ["temporary", "temporary", "succeeded"]
        assert {call["headers"]["Idempotency-Key"] for call in target.seen[:3]} == {
            f"{run['id']}.1"
        }


def test_what_fails_for_good_skips_later_waves_and_runs_on_failure(
    tmp_path: Path, target: Target
) -> None:
    """A 404 ends the run; the dead letter stays, and the failure is told once."""
    target.statuses = [404]
    with serving(tmp_path, CALL.format(url=target.url)) as service:
        story = service.ended(send(service, "a")["sync"])
        states = {run["action"]: (run["state"], run["reason"]) for run in story["plans"][0]["runs"]}
        assert states["first"] == ("failed", "answered 404: {}")
        assert states["then"] == ("skipped", "wave 0 failed")
        messages = [e["text"] for e in story["events"] if e["event"] == "action.message"]
        assert messages == ["failed: answered 404: {}"]
        assert story["plans"][0]["state"] == "failed"


def test_a_sync_from_before_the_ledger_is_stored_and_not_acted_upon(
    tmp_path: Path, target: Target
) -> None:
    """A first subscription sends old operations again."""
    from datetime import UTC, datetime, timedelta

    with serving(tmp_path, CALL.format(url=target.url)) as service:
        old = datetime.now(UTC) - timedelta(hours=1)
        story = service.ended(send(service, "a", finished=old)["sync"])
        assert (story["state"], target.seen) == ("ignored", [])
        assert rfc3339(old.replace(microsecond=0))[:19] in story["reason"]


def test_an_image_that_changed_is_told_from_one_that_did_not(
    tmp_path: Path, target: Target
) -> None:
    """The ledger remembers the images of the sync before; first sight is unknown and skipped."""
    rules = f"""
version: 1
rules:
- name: rollout
  onUnknownChange: skip
  match: {{resources: [{{kind: Deployment, change: any, imageChanged: true}}]}}
  actions: [{{uses: http.request, with: {{url: "{target.url}"}}}}]
"""
    with serving(tmp_path, rules) as service:
        plans = []
        for number, image in enumerate(("shop:1", "shop:1", "shop:2")):
            body = notification(
                resource("shop", "deployment.apps/shop configured", kind="Deployment",
                         group="apps", images=[image]), retryCount=0, message=str(number),
                startedAt=f"2020-01-01T00:00:0{number}Z",
            )  # fmt: skip
            _, answer = service.request("POST", "/v1/notifications", body)
            plans.append(len(service.ended(answer["sync"])["plans"]))
        assert plans == [0, 0, 1]


def test_rules_are_loaded_again_and_a_broken_set_changes_nothing(
    tmp_path: Path, target: Target
) -> None:
    """A mistake is told with its place; the last good set stays in force, over a restart too."""
    with serving(tmp_path, CALL.format(url=target.url)) as service:
        good = service.request("GET", "/readyz")[1]["rules"]["digest"]
        service.rules.write_text("version: 1\nrules:\n- name: x\n  mtach: {}\n")
        wait_for(lambda: bool(service.events("rules.refused")), 10, "the refusal")
        assert "rules.yaml:4:3" in service.events("rules.refused")[0]["reason"]
        service.stop()
        service.start()
        wait_for(lambda: len(service.events("rules.refused")) == 2, 10, "the second refusal")
        rules = service.request("GET", "/readyz")[1]["rules"]
        assert (rules["ok"], rules["digest"]) == (False, good)
        service.ended(send(service, "a")["sync"])
        assert target.seen


def test_a_plan_under_way_keeps_the_rules_it_was_made_with(tmp_path: Path, target: Target) -> None:
    """Its second wave comes from the rule as it was, though the file says another thing now."""
    target.delay = 3
    with serving(tmp_path, CALL.format(url=target.url)) as service:
        sync = send(service, "a")["sync"]
        wait_for(lambda: len(target.seen) == 1, 10, "the first call")
        before = len(service.events("rules.loaded"))
        service.rules.write_text("version: 1\nrules: []\n")
        assert service.process
        os.kill(service.process.pid, signal.SIGHUP)
        wait_for(lambda: len(service.events("rules.loaded")) > before, 10, "the new rules")
        target.delay = 0
        story = service.ended(sync)
        assert [run["state"] for run in story["plans"][0]["runs"]] == ["succeeded"] * 2


def test_sigterm_lets_attempts_finish_and_leaves_the_rest(tmp_path: Path, target: Target) -> None:
    """What is under way ends well; what has not begun is there at the next start."""
    target.delay = 1.0
    with serving(tmp_path, CALL.format(url=target.url)) as service:
        sync = send(service, "a")["sync"]
        wait_for(lambda: len(target.seen) == 1, 10, "the first call")
        assert service.stop() == 0
        assert service.query("SELECT state FROM runs ORDER BY wave") == [
            ("succeeded",), ("waiting",)
        ]  # fmt: skip
        service.start()
        assert service.ended(sync)["plans"][0]["state"] == "succeeded"
        assert len(target.seen) == 2


def test_if_one_process_dies_the_other_is_stopped(tmp_path: Path, target: Target) -> None:
    """Whoever started it sees a code that is not zero, and nothing is left running."""
    with serving(tmp_path, CALL.format(url=target.url), drain="1") as service:
        os.kill(service.processes()["dispatcher"], signal.SIGKILL)
        assert service.process
        assert service.process.wait(120) == 1
        assert "the dispatcher process ended (signal SIGKILL)" in service.log.read_text()


def test_a_second_instance_is_refused(tmp_path: Path, target: Target) -> None:
    """One message, with the process that has the ledger, and exit code 1."""
    with serving(tmp_path, CALL.format(url=target.url)) as service:
        environ = service.environ | {"POSTSYNC_PORT": "0"}
        done = postsync("serve", cwd=ROOT, environ=environ)
        assert done.returncode == 1
        assert "is in use by another instance (process " in done.stderr
        assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_told_before_anything_starts(
    tmp_path: Path, target: Target
) -> None:
    """The address and the way out."""
    port = target.url.rsplit(":", 1)[1].strip("/")
    service = Service(tmp_path, CALL.format(url=target.url))
    done = postsync("serve", "--port", port, cwd=ROOT, environ=service.environ)
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr


def test_without_a_token_it_does_not_start(tmp_path: Path) -> None:
    """Refused with what to type; told explicitly, it starts."""
    environ = os.environ | {"POSTSYNC_HOME": str(tmp_path)}
    done = subprocess.run(
        [*POSTSYNC, "serve"], cwd=ROOT, env=environ, capture_output=True, text=True, check=False,
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 1
    assert "there is no sender's token" in done.stderr


def test_a_locked_ledger_costs_a_503_and_nothing_else(tmp_path: Path, target: Target) -> None:
    """The process lives, and the same notification is taken when the lock is gone."""
    with serving(tmp_path, CALL.format(url=target.url)) as service:
        body = notification(resource("a"))
        with closing(sqlite3.connect(tmp_path / "ledger.db")) as other:
            other.execute("BEGIN IMMEDIATE")
            status, problem = service.request("POST", "/v1/notifications", body)
            assert (status, problem["reason"]) == (503, "ledger_unavailable")
            other.rollback()
        status, answer = service.request("POST", "/v1/notifications", body)
        assert (status, answer["verdict"]) == (202, "accepted")
        assert service.ended(answer["sync"])["plans"][0]["state"] == "succeeded"
