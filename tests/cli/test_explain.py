"""postsync explain."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from receiver.cli.explain import explain
from receiver.core.errors import PayloadError, RuleError, SettingsError

ONE = """
version: 1
rules:
- name: config
  match:
    application: {name: shop}
    resources:
    - {kind: ConfigMap, name: "*-config"}
  actions:
  - {name: sum_up, uses: log.message, with: {text: done}, target: application, wave: 1}
  - {name: each, uses: log.message, with: {text: hello}, if: "!sync.dryRun"}
  - {name: all, uses: log.message, with: {text: hello}, target: batch}
  onFailure:
  - {name: alarm, uses: log.message, with: {text: alas}}
"""
MORE = """
version: 1
rules:
- name: elsewhere
  match: {application: {name: other-*}}
  actions: [{uses: log.message, with: {text: hello}}]
- name: from-prod
  match: {sender: prod}
  mode: observe
  actions: [{uses: log.message, with: {text: hello}}]
- name: images
  match:
    resources: [{kind: Deployment, imageChanged: true}]
    condition: "resource.images[0] == 'x'"
  actions: [{uses: log.message, with: {text: hello}}]
"""


def entry(kind: str, name: str, verb: str) -> dict[str, Any]:
    message = f"{kind.lower()}/{name} {verb}"
    return {"group": "", "version": "v1", "kind": kind, "namespace": "shop", "name": name,
            "status": "Synced", "message": message, "syncPhase": "Sync"}  # fmt: skip


@pytest.fixture
def payload(tmp_path: Path) -> Path:
    state = {
        "phase": "Succeeded",
        "startedAt": "2026-06-10T08:20:03Z",
        "finishedAt": "2026-06-10T08:21:17Z",
        "syncResult": {
            "resources": [
                entry("ConfigMap", "shop-config", "configured"),
                entry("ConfigMap", "flags", "created"),
                entry("Deployment", "web[red]\x1b[31m", "unchanged"),
            ]
        },
    }
    application = {"name": "shop", "namespace": "argocd"}
    file = tmp_path / "notification.json"
    file.write_text(json.dumps({"application": application, "operationState": state}))
    return file


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules/one.yaml").write_text(ONE)
    return tmp_path / "rules"


def run(payload: Path, rules: Path, *more: str, width: int = 120) -> Result:
    arguments = ["--payload", str(payload), "--rules", str(rules), *more]
    return CliRunner(env={"COLUMNS": str(width)}).invoke(explain, arguments)


def flat(answer: Result) -> str:
    """Return the page without its frames and line breaks."""
    return " ".join("".join(" " if c in "│┃─━\n" else c for c in answer.stdout).split())


def test_table(payload: Path, rules: Path) -> None:
    """Each resource is a row with the rule's reason, then comes what would run, by wave."""
    answer = run(payload, rules)
    assert answer.exit_code == 0
    page = flat(answer)
    assert page.startswith("argocd/shop: Succeeded, channel sync, 3 resources")
    assert "ConfigMap shop/shop-config matched by resources[0]: changed (configured)" in page
    assert "ConfigMap shop/flags resources[0].name wants *-config, saw flags" in page
    lines = answer.stdout.splitlines()
    start = lines.index("What would run")
    assert lines[start:] == [
        "What would run",
        "  config",
        "    wave 0: each log.message -> resource: ConfigMap/shop/shop-config (if: !sync.dryRun)",
        "    wave 0: all log.message -> batch of 1: ConfigMap/shop/shop-config",
        "    wave 1: sum_up log.message -> application: argocd/shop",
        "    wave 0: alarm log.message -> application: argocd/shop (onFailure)",
    ]


def test_piped_output_is_plain(payload: Path, rules: Path) -> None:
    """Without a terminal there are no colours, and what the sender wrote commands nothing."""
    page = run(payload, rules).stdout
    assert "\x1b" not in page
    assert r"web[red]\x1b[31m" in page.replace("│\n│", "")


def test_rules_decided_by_the_sync(payload: Path, rules: Path) -> None:
    """A rule that refuses the sync itself takes one line and no column; notes say what is open."""
    (rules / "more.yaml").write_text(MORE)
    page = flat(run(payload, rules, "--sender", "prod"))
    assert "elsewhere: application.name wants other-*, saw shop" in page
    assert "from-prod: matched" in page
    assert "from-prod (observe: sends nothing)" in page
    assert "imageChanged is unknown here" in page
    assert "What only live objects know" not in page
    assert "--sender" not in page
    assert "from-prod: sender wants prod, saw nothing" in flat(run(payload, rules))
    assert "Some rules ask for a sender, and none is named" in flat(run(payload, rules))


def test_condition_that_fails(payload: Path, rules: Path) -> None:
    """A condition that cannot be evaluated is told in its cell."""
    (rules / "more.yaml").write_text(MORE)
    page = flat(run(payload, rules, "--rule", "images"))
    assert "change wants changed, saw unchanged" in page
    changed = payload.read_text().replace("unchanged", "configured")
    payload.write_text(changed)
    assert "condition failed:" in flat(run(payload, rules, "--rule", "images"))


def test_many_rules_have_lists(payload: Path, rules: Path) -> None:
    """Rules that do not fit beside one another are drawn one below the other."""
    (rules / "more.yaml").write_text(
        "version: 1\nrules:\n" + "".join(
            f"- name: rule-{n}\n  match: {{resources: [{{name: x{n}}}]}}\n"
            "  actions: [{uses: log.message, with: {text: hello}}]\n"
            for n in range(20)
        )
    )  # fmt: skip
    answer = run(payload, rules)
    assert "┃" not in answer.stdout
    assert "rule-7 ConfigMap shop/shop-config resources[0].name wants x7, saw" in flat(answer)
    assert max(map(len, run(payload, rules, width=60).stdout.splitlines())) <= 60


def test_json(payload: Path, rules: Path) -> None:
    """The same as JSON, for other programs."""
    found = json.loads(run(payload, rules, "--output", "json").stdout)
    assert found["application"] == "argocd/shop"
    assert found["resources"][0] == {
        "resource": "ConfigMap/shop/shop-config", "name": "ConfigMap shop/shop-config",
        "change": "changed", "reason": "configured",
    }  # fmt: skip
    [rule] = found["rules"]
    assert (rule["rule"], rule["verdict"]) == ("config", "matched")
    assert rule["resources"][1] == {
        "resource": "ConfigMap/shop/flags",
        "verdict": "refused",
        "field": "resources[0].name",
        "reason": "resources[0].name wants *-config, saw flags",
        "wanted": "*-config",
        "saw": "flags",
    }
    assert [(step["wave"], step["action"], step["targets"]) for step in rule["wouldRun"]] == [
        (0, "each", ["ConfigMap/shop/shop-config"]),
        (0, "all", ["ConfigMap/shop/shop-config"]),
        (1, "sum_up", ["argocd/shop"]),
        (0, "alarm", ["argocd/shop"]),
    ]


def test_what_a_plan_would_wait_for(payload: Path, rules: Path) -> None:
    """Further syncs, an approval, its turn: told before its steps, on the page and as JSON."""
    (rules / "one.yaml").write_text(
        ONE.replace('name: "*-config"', "change: any")
        .replace(
            "  actions:",
            "  limits: {maxTargets: 1}\n  debounce: {}\n  onNewer: queue\n  actions:",
        )
        .replace("name: all,", "name: all, suspend: {expires: 24h},")
    )  # fmt: skip
    terms = [
        "debounce: waits until no sync has come for 30s, at most 5m",
        "held: matches 2 resources, more than maxTargets 1",
        "onNewer: queue",
    ]
    lines = [line.strip() for line in run(payload, rules).stdout.splitlines()]
    start = lines.index("config", lines.index("What would run"))
    assert lines[start + 1 : start + 4] == terms
    assert "(suspend: waits to be approved within 1d)" in flat(run(payload, rules))
    found = json.loads(run(payload, rules, "--output", "json").stdout)
    assert found["rules"][0]["terms"] == terms


def test_batches_are_told_where_there_is_more_than_one(payload: Path, rules: Path) -> None:
    """A plan within its limit has no terms."""
    limited = "  limits: {maxTargets: 1, otherwise: batch}\n  actions:"
    (rules / "one.yaml").write_text(ONE.replace("  actions:", limited))
    assert "at a time" not in run(payload, rules).stdout
    wide = ONE.replace('name: "*-config"', "change: any").replace("  actions:", limited)
    (rules / "one.yaml").write_text(wide)
    assert "limits: 2 resources, 1 at a time" in run(payload, rules).stdout


def test_nothing_matched(payload: Path, rules: Path) -> None:
    """That nothing matches is an answer too: exit code 0."""
    answer = run(payload, rules, "--channel", "deployed")
    assert answer.exit_code == 0
    assert "config: channel wants sync, saw deployed" in answer.stdout
    assert "Nothing would run" in answer.stdout


def test_standard_input(payload: Path, rules: Path) -> None:
    """A dash reads the notification from standard input."""
    arguments = ["--payload", "-", "--rules", str(rules)]
    answer = CliRunner().invoke(explain, arguments, input=payload.read_bytes())
    assert "What would run" in answer.stdout


def test_refused(payload: Path, rules: Path) -> None:
    """A notification or rules that cannot be understood are refused as everywhere."""
    (rules / "bad.yaml").write_text("version: 1\nrulse: []\n")
    assert isinstance(run(payload, rules).exception, RuleError)
    (rules / "bad.yaml").unlink()
    payload.write_text("{")
    assert isinstance(run(payload, rules).exception, PayloadError)


def test_wrong_usage(payload: Path, rules: Path) -> None:
    """An unknown rule is told with the nearest name, one that is not there with a way out."""
    answer = run(payload, rules, "--rule", "confg")
    assert answer.exit_code == 2
    assert "there is no rule confg (did you mean config?)" in answer.stderr
    missing = run(payload.with_name("nowhere"), rules).exception
    assert isinstance(missing, SettingsError)
    assert "nowhere cannot be read: does not exist" in missing.message
    assert "`postsync init FOLDER` makes a file" in missing.hint
    twice = run(payload, rules, str(payload))
    assert (twice.exit_code, "there are two notifications" in twice.stderr) == (2, True)


def test_as_a_program(payload: Path, rules: Path) -> None:
    """What is refused is one message on stderr and exit code 1, without a traceback."""
    command = [sys.executable, "-m", "receiver.cli", "explain", "--payload", str(payload)]
    done = subprocess.run(
        [*command, "--rules", str(rules)], capture_output=True, text=True, check=False,
        env={**os.environ, "FORCE_COLOR": "1"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b[32m" in done.stdout
    payload.write_text("null")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("postsync: ")
    assert "Traceback" not in done.stderr


def test_a_list_that_may_lack_changes_is_noted(tmp_path: Path, rules: Path) -> None:
    """What a retry with ApplyOutOfSyncOnly leaves out, no rule can match."""
    lines = Path(__file__).parents[1].joinpath("data/argocd/payloads.jsonl").read_text()
    (told,) = (line["body"] for line in map(json.loads, lines.splitlines())
               if line["payload"] == "retry-oos-then-good")  # fmt: skip
    retried = tmp_path / "retried.json"
    retried.write_text(json.dumps(told))
    assert "changed may be missing from the list" in flat(run(retried, rules))


def test_an_excerpt_says_what_it_leaves_out(
    payload: Path, rules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the page and as JSON, with what matched first."""
    monkeypatch.setattr("receiver.rules.matching.explanation.MOST", 1)
    page = flat(run(payload, rules))
    assert "shop/shop-config matched" in page
    assert "shop/flags" not in page
    assert "and more: 2 refused (see --rule, --resource)" in page
    [rule] = json.loads(run(payload, rules, "--output", "json").stdout)["rules"]
    assert (len(rule["resources"]), rule["more"]) == (1, {"refused": 2})


def test_steps_name_no_more_targets_than_are_told(
    payload: Path, rules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of them are counted."""
    monkeypatch.setattr("receiver.rules.matching.explanation.MOST", 1)
    (rules / "one.yaml").write_text(ONE.replace('name: "*-config"', "change: any"))
    page = flat(run(payload, rules))
    assert "all log.message -> batch of 2: ConfigMap/shop/shop-config and 1 more" in page


def test_one_resource(payload: Path, rules: Path) -> None:
    """By its key; one that the sync does not list is wrong usage, with the nearest."""
    answer = run(payload, rules, "--resource", "ConfigMap/shop/flags")
    assert "ConfigMap shop/flags resources[0].name wants *-config, saw flags" in flat(answer)
    assert "ConfigMap shop/shop-config matched" not in flat(answer)
    wrong = run(payload, rules, "--resource", "ConfigMap/shop/flag")
    assert wrong.exit_code == 2
    assert "lists no resource ConfigMap/shop/flag (did you mean ConfigMap/shop/flags?)" in " ".join(
        wrong.stderr.split()
    )


def test_what_a_plan_would_wait_for_by_a_connection(payload: Path, rules: Path) -> None:
    """Its Applications, then the health of what matched: with what becomes of it, and without."""
    waits = (
        "  debounce: {key: '${{ sync.revision }}', maxWait: 30m, until: {applications: "
        "{name: shop-*}, otherwise: fail}}\n  waitFor: {healthy: 10m}\n  actions:"
    )
    (rules / "one.yaml").write_text(ONE.replace("  actions:", waits))
    found = json.loads(run(payload, rules, "--output", "json").stdout)
    assert found["rules"][0]["terms"] == [
        (
            "debounce: waits for the Applications of until, at most 30m, then fail; without a "
            "connection until no sync has come for 30s"
        ),
        "waitFor: waits until what matched is healthy, at most 10m, then fail; needs a connection",
    ]


def test_health_that_is_not_told_comes_with_the_way_out(payload: Path, rules: Path) -> None:
    """The setting of Argo CD's controller, and a connection."""
    (rules / "one.yaml").write_text(ONE.replace('name: "*-config"', "health: Degraded"))
    told = flat(run(payload, rules))
    assert "controller.resource.health.persist" in told
    assert "health that the notification does not tell" in told


def test_what_a_throttled_plan_would_wait_for(payload: Path, rules: Path) -> None:
    """Nothing, or its turn: only the ledger knows which."""
    (rules / "one.yaml").write_text(
        ONE.replace("  actions:", "  throttle: {every: 1m}\n  actions:")
    )
    told = "throttle: at once, or with all others of that time 1m after the plan before"
    assert told in run(payload, rules).stdout
