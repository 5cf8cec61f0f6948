"""postsync check."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from receiver.cli.check import check

RULES = """version: 1
rules:
- {name: r, match: {}, actions: [{uses: log.message, with: {text: x}}]}
"""


def test_good(tmp_path: Path) -> None:
    """Good files are counted, with the digest of the set."""
    (tmp_path / "a.yaml").write_text(RULES)
    answer = CliRunner().invoke(check, [str(tmp_path)])
    assert (answer.exit_code, answer.stderr) == (0, "")
    assert answer.stdout.startswith("1 rule in 1 file, digest ")


def test_bad(tmp_path: Path) -> None:
    """Every problem is a line of its own on stderr, and the exit code is 1."""
    file = tmp_path / "a.yaml"
    file.write_text("version: 2\nrulse: []\n")
    answer = CliRunner().invoke(check, [str(file)])
    assert (answer.exit_code, answer.stdout) == (1, "")
    assert answer.stderr.splitlines() == [
        f"{file}:1:1: rules: is missing",
        f"{file}:1:1: version: must be 1",
        f"{file}:2:1: rulse: unknown key (did you mean rules?)",
    ]


def test_json(tmp_path: Path) -> None:
    """The same as JSON, for other programs."""
    (tmp_path / "a.yaml").write_text(RULES)
    answer = CliRunner().invoke(check, ["--output", "json", str(tmp_path)])
    assert json.loads(answer.stdout).keys() == {
        "rules", "files", "digest", "warnings",
    }  # fmt: skip
    (tmp_path / "a.yaml").write_text("rules: []\n")
    answer = CliRunner().invoke(check, ["--output", "json", str(tmp_path)])
    assert answer.exit_code == 1
    (problem,) = json.loads(answer.stdout)["problems"]
    assert (problem["line"], problem["path"], problem["message"]) == (1, "version", "is missing")


@pytest.mark.parametrize("strict", [False, True])
def test_a_warning_is_told_and_only_strict_fails(tmp_path: Path, strict: bool) -> None:
    """A pipeline may want no doubt, a start must not fail by one."""
    file = tmp_path / "a.yaml"
    file.write_text(RULES.replace("match: {}", 'match: {application: {name: "^shop"}}'))
    arguments = ["--strict"] * strict + [str(file)]
    answer = CliRunner().invoke(check, arguments)
    assert answer.exit_code == int(strict)
    assert answer.stdout.startswith("1 rule in 1 file")
    assert answer.stderr.startswith(f"warning: {file}:3:")
    told = json.loads(CliRunner().invoke(check, [*arguments, "--output", "json"]).stdout)
    assert told["warnings"][0]["path"] == "rules[0].match.application.name"


def test_files_of_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without arguments the files of the settings are checked."""
    (tmp_path / "a.yaml").write_text(RULES)
    monkeypatch.setenv("POSTSYNC_RULES", json.dumps([str(tmp_path)]))
    assert CliRunner().invoke(check).exit_code == 0


@pytest.mark.parametrize("where", ["rule", "defaults"])
def test_a_rule_that_wants_the_truth_of_nobody_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """No sender of the settings has a connection; with one there is nothing to say."""
    text = "version: 1\ndefaults: {}\nrules:\n- {name: r, match: {}, actions: [{uses: log.message"
    text += ", with: {text: x}}]}\n"
    if where == "rule":
        text = text.replace("match: {}", "match: {}, verify: always")
        place = "4:24"
    else:
        text = text.replace("{}", "{verify: always}", 1)
        place = "2:12"
    file = tmp_path / "a.yaml"
    file.write_text(text)
    monkeypatch.setenv("POSTSYNC_RULES", json.dumps([str(file)]))
    warned = CliRunner().invoke(check, [])
    assert warned.exit_code == 0
    assert warned.stderr.startswith(f"warning: {file}:{place}: ")
    assert "verify: no sender has a connection, so the messages decide" in warned.stderr
    setting = {"argocd": {"kubernetes": {"inCluster": True}}}
    monkeypatch.setenv("POSTSYNC_ARGOCD", json.dumps(setting))
    assert CliRunner().invoke(check, []).stderr == ""


def test_a_selector_that_asks_nobody_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a connection no labels are known, so it selects nothing."""
    file = tmp_path / "a.yaml"
    file.write_text(
        "version: 1\nrules:\n- name: r\n  match: {resources: [{kind: Job, labels: {a: b}}]}\n"
        "  actions: [{uses: log.message, with: {text: x}}]\n"
    )
    monkeypatch.setenv("POSTSYNC_RULES", json.dumps([str(file)]))
    warned = CliRunner().invoke(check, [])
    assert warned.stderr.startswith(f"warning: {file}:4:35: ")
    assert (
        "labels: no sender has a connection, so no labels are known: this selects" in warned.stderr
    )
    setting = {"argocd": {"kubernetes": {"inCluster": True}}}
    monkeypatch.setenv("POSTSYNC_ARGOCD", json.dumps(setting))
    assert CliRunner().invoke(check, []).stderr == ""


def test_an_expression_that_asks_nobody_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it stands; once where a selector asks for the same."""
    file = tmp_path / "a.yaml"
    file.write_text(
        "version: 1\nrules:\n- name: r\n  match:\n    resources: [{kind: Job, labels: {a: b}}]\n"
        "    condition: resource.annotations['a'] == 'b'\n"
        "  actions:\n  - {uses: log.message, with: {text: '${{ resource.annotations.a }}'}}\n"
        "  - {name: b, uses: log.message, with: {text: '${{ resource.labels.a }}'}}\n"
    )
    monkeypatch.setenv("POSTSYNC_RULES", json.dumps([str(file)]))
    warned = CliRunner().invoke(check, []).stderr
    why = "no sender has a connection, so no annotations are known: resource.annotations is null"
    assert f"{file}:6:5: rules[0].match.condition: {why}" in warned
    assert f"rules[0].actions[0].with.text: {why}" in warned
    assert warned.count("no labels are known") == 1
    setting = {"argocd": {"kubernetes": {"inCluster": True}}}
    monkeypatch.setenv("POSTSYNC_ARGOCD", json.dumps(setting))
    assert CliRunner().invoke(check, []).stderr == ""


def test_files_are_checked_with_the_settings_that_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of a file, or of the environment; without any nobody knows whether one is connected."""
    file, settings = tmp_path / "a.yaml", tmp_path / "settings.yaml"
    file.write_text(RULES.replace("match: {}", "match: {resources: [{labels: {a: b}}]}"))
    settings.write_text("port: 8081\n")
    assert CliRunner().invoke(check, [str(file)]).stderr == ""
    warned = CliRunner().invoke(check, ["--settings", str(settings), str(file)])
    assert "labels: no sender has a connection" in warned.stderr
    missing = CliRunner().invoke(check, ["--settings", str(tmp_path / "none.yaml"), str(file)])
    assert "none.yaml" in str(missing.exception)
    monkeypatch.setenv("POSTSYNC_ARGOCD", "not json")
    broken = CliRunner().invoke(check, [str(file)])
    assert "POSTSYNC_ARGOCD cannot be read" in str(broken.exception)


def test_a_rule_that_waits_for_applications_that_nobody_sees_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says what the plan does instead."""
    text = (
        "version: 1\nrules:\n- name: r\n  match: {}\n  debounce:\n"
        "    key: ${{ sync.revision }}\n    until: {applications: {project: web}}\n"
        "  actions: [{uses: log.message, with: {text: x}}]\n"
    )
    file = tmp_path / "a.yaml"
    file.write_text(text)
    monkeypatch.setenv("POSTSYNC_RULES", json.dumps([str(file)]))
    warned = CliRunner().invoke(check, [])
    assert warned.exit_code == 0
    assert warned.stderr.startswith(f"warning: {file}:7:5: ")
    assert "so each plan waits for the quiet of window instead" in warned.stderr


def test_a_connection_of_which_there_is_no_token_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the log does at the start; where the tokens are not at hand nothing is said."""
    file, senders = tmp_path / "a.yaml", tmp_path / "senders"
    file.write_text(RULES)
    monkeypatch.setenv("POSTSYNC_HOME", str(tmp_path))
    kubernetes = {"kubernetes": {"inCluster": True}}
    setting = {"prod": kubernetes, "stage": kubernetes, "eu": kubernetes | {"intake": "watch"}}
    monkeypatch.setenv("POSTSYNC_ARGOCD", json.dumps(setting))
    assert CliRunner().invoke(check, [str(file)]).stderr == ""
    senders.mkdir()
    (senders / "prod").write_text("0123456789abcdef" * 4)
    warned = CliRunner().invoke(check, [str(file)])
    assert warned.stderr == ("warning: argocd.stage: no token has that name; senders are prod\n")


SECRETS = """version: 1
rules:
- name: r
  match: {}
  actions:
  - uses: http.request
    with:
      url: http://127.0.0.1/
      headers: {Authorization: {env: POSTSYNC_SECRET_CDN, format: "Bearer {}"}}
      signingSecret: {file: webhook-key}
"""


def test_a_secret_that_is_not_there_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each with its place; once it is there, nothing is said."""
    file, folder = tmp_path / "a.yaml", tmp_path / "secrets"
    file.write_text(SECRETS)
    folder.mkdir()
    monkeypatch.setenv("POSTSYNC_HOME", str(tmp_path))
    monkeypatch.setenv("POSTSYNC_SECRET_OTHER", "x")
    warned = CliRunner().invoke(check, [str(file)])
    assert warned.exit_code == 0
    first, second = warned.stderr.splitlines()
    assert first.startswith(f"warning: {file}:9:")
    assert "{env: POSTSYNC_SECRET_CDN} is not set, so its runs would fail (set it where" in first
    assert second.startswith(f"warning: {file}:10:")
    assert "{file: webhook-key}" in second
    (folder / "webhook-key").write_text("k")
    monkeypatch.setenv("POSTSYNC_SECRET_CDN", "x")
    assert CliRunner().invoke(check, [str(file)]).stderr == ""


def test_where_there_are_no_secrets_at_all_none_is_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rules are checked by a pipeline, too, which has none."""
    file = tmp_path / "a.yaml"
    file.write_text(SECRETS)
    monkeypatch.setenv("POSTSYNC_HOME", str(tmp_path))
    assert CliRunner().invoke(check, [str(file)]).stderr == ""


def test_a_rule_that_skips_what_is_applied_server_side_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a connection all of that is unknown; with one there is nothing to say."""
    file = tmp_path / "a.yaml"
    file.write_text(
        "version: 1\nrules:\n- name: r\n  match: {resources: [{kind: ConfigMap}]}\n"
        "  onUnknownChange: skip\n  actions: [{uses: log.message, with: {text: x}}]\n"
    )
    monkeypatch.setenv("POSTSYNC_RULES", json.dumps([str(file)]))
    warned = CliRunner().invoke(check, ["--strict"])
    assert warned.exit_code == 1
    assert warned.stderr.startswith(f"warning: {file}:5:3: rules[0].onUnknownChange: no sender has")
    assert "changed server-side" in warned.stderr
    setting = {"argocd": {"kubernetes": {"inCluster": True}}}
    monkeypatch.setenv("POSTSYNC_ARGOCD", json.dumps(setting))
    assert CliRunner().invoke(check, ["--strict"]).stderr == ""
