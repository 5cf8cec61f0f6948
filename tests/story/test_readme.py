"""The README keeps its word: its commands run as they are printed, its links lead somewhere."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from service import POSTSYNC, ROOT, Service

README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "bench/README.md"]
BLOCK = re.compile(r"<!-- newcomer -->\n```sh\n(.*?)```", re.DOTALL)
ACTIVATE = ". .venv/bin/activate\n"
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """What `make run` starts, on a free port and in a home of its own."""
    service = Service(tmp_path_factory.mktemp("home"), "")
    service.environ["POSTSYNC_RULES"] = json.dumps([str(ROOT / "config/rules")])
    try:
        service.start()
        yield service
    finally:
        service.kill()


@pytest.fixture(scope="module")
def printed(service: Service) -> str:
    """What a newcomer's terminal shows after all commands of the README."""
    script = "".join(BLOCK.findall(README))
    if not (ROOT / ".venv/bin/activate").exists():
        script = script.replace(ACTIVATE, "")  # the interpreter's own folder has the commands
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=ROOT, text=True, timeout=60, check=False,
        env=service.environ | {"PATH": path, "COLUMNS": "200"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_the_readme_has_the_commands_that_are_tried_here() -> None:
    """Should a marker get lost, this would be the test of nothing."""
    commands = "".join(BLOCK.findall(README)).splitlines()
    assert len(commands) >= 6
    assert commands[0] == ACTIVATE.strip()


def test_the_first_sync_is_accepted_and_acted_upon(printed: str) -> None:
    """The trail has what the README shows: the rule, the resources, why, and the outcome."""
    first, _, _ = printed.partition("verdict  duplicate")
    for promise in (
        "verdict  accepted",
        "argocd/shop Succeeded",
        "8 resources, 3 changed",
        "notification.accepted",
        "rule.matched            rule=shop-config-changed mode=run runs=3",
        "ConfigMap/shop/shop-config: resources[0]: ConfigMap shop/shop-config changed (configured)",
        "apps/Deployment/shop/shop: resources[1]: Deployment shop/shop changed (configured)",
        "attempt.succeeded",
        "plan.succeeded",
    ):
        assert promise in first, promise


def test_the_lines_that_the_readme_shows_look_as_the_trail_does(printed: str) -> None:
    """The same events with the same keys, in the same order."""
    told = iter(_shapes(printed))
    shown = _shapes(README)
    assert len(shown) >= 6
    missing = [line for line in shown if not any(_begins(other, line) for other in told)]
    assert missing == []


def _shapes(text: str) -> list[list[str]]:
    """Each line of a trail as the event and the names of its keys."""
    lines = re.findall(r"^\d\d:\d\d:\d\d\.\d+Z ([\w.]+ .*)$", text, re.MULTILINE)
    return [[word.partition("=")[0] for word in line.split()] for line in lines]


def _begins(told: list[str], shown: list[str]) -> bool:
    if shown[-1] == "...":  # the README cuts long lines
        return told[: len(shown) - 1] == shown[:-1]
    return told == shown


def test_the_same_again_is_a_duplicate(printed: str, service: Service) -> None:
    """Of the first, about which nothing more is done."""
    _, duplicate, rest = printed.partition("verdict  duplicate")
    assert duplicate
    assert "same sync as s-" in rest
    assert service.query("SELECT COUNT(*) FROM syncs") == [(1,)]


def test_check_and_explain_say_what_they_make_of_the_rules(printed: str) -> None:
    """Both work on the files alone."""
    _, _, rest = printed.partition("verdict  duplicate")
    assert "1 rule in 1 file" in rest
    assert "shop-config-changed" in rest
    assert "matched by resources[0]: changed (configured)" in rest
    assert "resources[0].name wants *-config, saw old-flags" in rest


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_each_link_leads_to_a_file(page: Path) -> None:
    """Relative ones, as a reader of the repository follows them."""
    links = [link for link in LINK.findall(page.read_text()) if "://" not in link]
    missing = [link for link in links if not (page.parent / link).exists()]
    assert missing == []


def test_each_command_is_told_of() -> None:
    """Whatever `--help` lists can be read about."""
    shown = subprocess.run([*POSTSYNC, "--help"], cwd=ROOT, text=True, capture_output=True,
                           check=True).stdout  # fmt: skip
    commands = re.findall(r"^  ([a-z][a-z-]+)  ", shown, re.MULTILINE)
    assert {"serve", "export"} <= set(commands)
    text = "".join(page.read_text() for page in PAGES)
    assert [name for name in commands if f"postsync {name}" not in text] == []


def test_each_make_target_that_the_pages_name_is_there() -> None:
    """`make run` and the others."""
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    named = {name for page in PAGES for name in re.findall(r"`make ([a-z-]+)`", page.read_text())}
    assert named <= set(targets)


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_the_tokens_of_make_run_are_for_their_owner_alone(tmp_path: Path) -> None:
    """They are made once, and not again by the next `make run`."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    tokens = [".postsync/senders/argocd", ".postsync/operators/local"]
    command = ["make", *tokens]
    read = []
    for _ in range(2):
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
        read.append([(tmp_path / token).read_text() for token in tokens])
    assert [(tmp_path / token).stat().st_mode & 0o777 for token in tokens] == [0o600, 0o600]
    assert (tmp_path / ".postsync/senders").stat().st_mode & 0o777 == 0o700
    assert read[0] == read[1]
    assert len(set(read[0])) == 2
    assert min(map(len, read[0])) > 40
