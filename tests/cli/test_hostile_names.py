"""Names, messages and reasons that would steer a terminal: no command shows them as they came."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from commands import typed_on_terminal
from notifications import notification, resource
from service import ROOT, Service, Target, serving, wait_for

from receiver.cli import cli
from receiver.core.terminal_text import escape_controls

HOSTILE = "x\x1b[8m\x1b]0;owned\x07\x9b2J\r\n\u202eattempt.succeeded\u2028\x7f\u200b"
OURS = re.compile(r"\x1b\[(?:0|1|3[0-7])m")
"""The looks that `click.style` gives."""

RULES = """
version: 1
rules:
- name: fails
  match: {{application: {{name: shop*}}, resources: [{{kind: ConfigMap}}]}}
  retry: {{for: 1s, initialDelay: 100ms}}
  actions:
  - name: call
    uses: http.request
    with: {{url: "{url}", json: {{name: "${{{{ resource.name }}}}"}}}}
  - {{uses: log.message, target: application, wave: 1, when: always,
      with: {{text: "${{{{ resources[0].name }}}} ${{{{ application.name }}}}"}}}}
- name: guarded
  match: {{application: {{name: shop*}}, resources: [{{kind: ConfigMap}}]}}
  limits: {{maxTargets: 1}}
  actions:
  - {{uses: log.message, suspend: true, with: {{text: "${{{{ application.name }}}}"}}}}
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with a log for people, and a sync whose every text is hostile."""
    target = Target()
    target.statuses = [400]
    target.answer = HOSTILE.encode("utf-8", "replace")
    home = tmp_path_factory.mktemp("hostile")
    try:
        with serving(home, RULES.format(url=target.url), log_format="console") as made:
            (home / "payload.json").write_bytes(payload())
            (home / "refused.json").write_bytes(notification(application=HOSTILE))
            made.request("POST", "/v1/notifications", notification(application=HOSTILE))
            status, answer = made.request("POST", "/v1/notifications", payload())
            assert status == 202, answer
            wait_for(lambda: has_failed(made, answer["sync"]), 20, "the failure")
            reason = json.dumps({"reason": HOSTILE}).encode()
            assert made.request("PUT", "/v1/pauses/all", reason, role="operators")[0] == 200
            yield made
    finally:
        target.close()


def has_failed(service: Service, sync: str) -> bool:
    return "failed" in {plan["state"] for plan in service.story(sync)["plans"]}


def payload() -> bytes:
    things = [resource(f"{name}{HOSTILE}", message=HOSTILE) for name in "ab"]
    return notification(
        *things, message=HOSTILE, syncResult={"revision": HOSTILE, "resources": things}
    )


def raw(text: str) -> set[str]:
    """What a terminal would obey, but for our own looks and line breaks."""
    return {c for c in OURS.sub("", text) if not c.isprintable()} - {"\n"}


PAYLOAD, REFUSED = ("--payload", "payload.json"), ("--payload", "refused.json")
COMMANDS = [
    ["status"], ["syncs"], ["show", "last"], ["runs"], ["plans"], ["pauses"], ["tail"], ["check"],
    ["tail", "--event", "attempt.*"], ["handlers"], ["health"], ["export"],
    ["explain", *PAYLOAD], ["explain", *PAYLOAD, "--rule", "fails"],
    ["explain", "--sync", "last"], ["explain", "--sync", HOSTILE],
    ["explain", "--sync", "last", "--rules", "rules.yaml"], ["backtest", "--rules", "rules.yaml"],
    ["backtest", "--rules", "rules.yaml", "--rule", HOSTILE], ["backtest", "--rules", HOSTILE],
    ["explain", *REFUSED], ["explain", *PAYLOAD, "--rule", HOSTILE], ["explain", HOSTILE],
    ["try", "fails", *PAYLOAD, "--yes"], ["send", "payload.json"], ["send", "refused.json"],
    ["retry", "last"], ["replay", "last", "--reason", HOSTILE], ["cancel", "last", "--yes"],
    ["approve", "last"], ["approve", "last", "--yes"], ["syncs", "--application", HOSTILE],
    ["runs", "--rule", HOSTILE], ["runs", "--state", HOSTILE], ["tail", "--sync", HOSTILE],
    ["show", HOSTILE], ["show", f"r-{HOSTILE}"], ["check", HOSTILE], [f"--{HOSTILE}"], [HOSTILE],
    ["pause", "--rule", "fails", "--reason", HOSTILE], ["resume", "--all", "--reason", HOSTILE],
]  # fmt: skip


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words)[:30])
def test_no_command_shows_what_a_terminal_would_obey(
    service: Service, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in its errors, and in JSON."""
    monkeypatch.chdir(service.home)
    for name, value in service.environ.items():
        monkeypatch.setenv(name, value)
    for output in ([], ["--output", "json"]):
        done = CliRunner().invoke(cli, [*words, *output], input="n\n", color=True)
        assert raw(done.output) == set()


def test_a_story_is_told_with_its_names_escaped(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is left out: who looks sees what was sent."""
    for name, value in service.environ.items():
        monkeypatch.setenv(name, value)
    told = CliRunner().invoke(cli, ["show", "last"]).output
    assert r"ConfigMap/shop/ax\x1b[8m\x1b]0;owned\x07\x9b2J\r\n\u202eattempt.succeeded" in told


def test_an_error_on_a_terminal_is_escaped(service: Service) -> None:
    """What is refused quotes what it is about, in a line of its own."""
    code, told = typed_on_terminal(service, "show", f"s-{HOSTILE}", answer="")
    assert code == 1
    assert raw(told.replace("\r\n", "\n")) == set()
    assert "owned" in told


def test_a_log_for_people_is_escaped(service: Service) -> None:
    """One line an event, whatever it is about."""
    told = service.log.read_text()
    assert "owned" in told
    assert raw(told) == set()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain, auch mit Umläuten: ä 中 🚀", "plain, auch mit Umläuten: ä 中 🚀"),
        ("\x1b[31m", r"\x1b[31m"),
        ("a\nb\tc\r", r"a\nb\tc\r"),
        ("\u202e\u2066\u200b\u2028", r"\u202e\u2066\u200b\u2028"),
        ("\ud800", r"\ud800"),
        ("\x85\x9b\x7f\u00a0", r"\x85\x9b\x7f\xa0"),
    ],
)
def test_what_is_not_printable_is_escaped(text: str, expected: str) -> None:
    """As Python writes it in a string."""
    assert escape_controls(text) == expected


def test_commands_write_by_the_screen_alone() -> None:
    """Whoever writes past it forgets to escape; tables are drawn of escaped cells."""
    past = {
        f"{path.name}: {node.func.attr}"
        for path in (ROOT / "receiver" / "cli").glob("*.py")
        if path.name != "screen.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"echo", "secho", "style", "confirm", "prompt", "print", "write"}
    }  # fmt: skip
    assert past == {"explain_page.py: print"}


def test_no_name_is_completed_that_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would stand on a command line."""
    rules = tmp_path / "rules.yaml"
    rules.write_text('rules: [{name: "good"}, {name: "go\\u202eod"}]')
    monkeypatch.setenv("POSTSYNC_RULES", json.dumps([str(rules)]))
    environ = {"_POSTSYNC_COMPLETE": "bash_complete", "COMP_WORDS": "postsync replay --rule go",
               "COMP_CWORD": "3"}  # fmt: skip
    done = CliRunner().invoke(cli, prog_name="postsync", env=environ)
    assert done.output.split() == ["plain,good"]
