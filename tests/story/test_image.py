"""What the Dockerfile builds, without an engine: its own steps, run in a folder."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from control_plane import CACHES
from dockerfile import Box, command, make_context, one, stages, variables
from service import TOKEN, free_port, wait_for

FINAL = stages()[-1]
BUILT = ("/opt/postsync", "/etc/postsync", "/var/lib/postsync")
UNCHECKED = b"\x01\x00\x00\x00"
"""PEP 552: the flags of bytecode that is valid by its hash, which nobody checks."""
KEPT = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(CACHES / "postsync-tests/wheels")}
NO_INDEX = re.compile(r"NewConnectionError|NameResolutionError|ConnectTimeout|ProxyError")

Start: TypeAlias = Callable[..., subprocess.Popen[str]]

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("image")]  # built by one worker


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("image")


@pytest.fixture(scope="module")
def builds(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    """Build twice in one place, since bytecode knows its path; the contents of both."""
    context, found = tmp_path_factory.mktemp("context"), []
    make_context(context)
    for _ in range(2):
        box = _built(folder, context)
        found.append({name: text for place in BUILT for name, text in box.contents(place).items()})
    return found


def _built(folder: Path, context: Path) -> Box:
    """Build from the wheels that `make test` keeps; by the index, which takes longer, if not."""
    told = ""
    for settings in (KEPT, {}):
        for path in folder.iterdir():
            shutil.rmtree(path)
        box = Box(folder)
        try:
            box.build(context, **settings)
        except subprocess.CalledProcessError as error:
            told = error.stdout
        else:
            return box
    if NO_INDEX.search(told):
        pytest.skip("no package index answers, so nothing can be installed")
    pytest.fail(told)


@pytest.fixture(scope="module")
def box(folder: Path, builds: list[dict[str, str]]) -> Box:
    """The image's file system, with a token in the home folder; the rest is read-only."""
    assert builds
    home = folder / "var/lib/postsync"
    (home / "senders").mkdir()
    (home / "senders/argocd").write_text(TOKEN)
    for path in (folder / "opt").rglob("*"):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & ~0o222)
    return Box(folder)


@pytest.fixture(scope="module")
def powerless() -> list[str]:
    """Begins a command without any capability, so that modes mean something to root as well."""
    if os.geteuid():
        return []
    begin = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]
    path = shutil.which(begin[0])
    if path is None or subprocess.run([*begin, "true"], check=False).returncode:
        pytest.skip("setpriv cannot drop capabilities here, and nothing is read-only to root")
    return [path, *begin[1:]]


@pytest.fixture
def start(box: Box, powerless: list[str]) -> Start:
    """Starts a command as a container would, with nothing but the image's programs."""

    def started(words: list[str], port: int = 8080) -> subprocess.Popen[str]:
        program = f"{box.folder}/opt/postsync/bin"
        environ = {name: box.moved(value) for name, value in variables(FINAL).items()}
        own = {"PATH": program, "POSTSYNC_HOST": "127.0.0.1", "POSTSYNC_PORT": str(port)}
        return subprocess.Popen(
            [*powerless, f"{program}/{words[0]}", *words[1:]], env=environ | own, text=True,
            cwd=box.moved(one(FINAL, "WORKDIR")), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    return started


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    told, _ = process.communicate(timeout=60)
    return process.returncode, told


def readiness(port: int) -> dict[str, Any]:
    """What `/readyz` answers, empty while nobody does."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=10) as answer:
            return dict(json.load(answer))
    except urllib.error.URLError:
        return {}


def test_the_same_steps_give_the_same_bytes(builds: list[dict[str, str]]) -> None:
    """Names, modes, times and contents of all that is copied into the image."""
    first, second = builds
    assert [name for name in first | second if first.get(name) != second.get(name)] == []


def test_the_image_has_the_program_and_nothing_to_install_more(box: Box, start: Start) -> None:
    """Neither pip nor setuptools, and no bytecode with a time in it."""
    packages = {path.name for path in (box.folder / "opt/postsync").rglob("site-packages/*")}
    assert not packages & {"pip", "setuptools", "wheel"}
    assert ended(start(["postsync", "--version"])) == (0, "postsync, version 0.1.0\n")
    assert "http.request" in ended(start(["postsync", "handlers"]))[1]
    compiled = list((box.folder / "opt/postsync").rglob("*.pyc"))
    assert len(compiled) > 1000
    assert {path.read_bytes()[4:8] for path in compiled} == {UNCHECKED}


def test_it_serves_from_a_read_only_folder(box: Box, start: Start, powerless: list[str]) -> None:
    """Ready, healthy by the HEALTHCHECK's own words, stopped by SIGTERM; nothing was written."""
    touch = [*powerless, "touch", f"{box.folder}/opt/postsync/bin/new"]
    assert subprocess.run(touch, check=False, stderr=subprocess.DEVNULL).returncode == 1
    before, port = box.contents("/opt/postsync"), free_port()
    check = json.loads(one(FINAL, "HEALTHCHECK").partition("CMD ")[2])
    process = start([*command(FINAL, "ENTRYPOINT"), *command(FINAL, "CMD")], port)
    try:
        wait_for(lambda: "loadedAt" in readiness(port).get("rules", {}), 20, "readiness")
        assert ended(start(check, port)) == (0, "healthy\n")
    finally:
        process.send_signal(signal.SIGTERM)
        code, told = ended(process)
    assert code == 0, told
    assert ended(start(check, port))[0] == 3
    assert box.contents("/opt/postsync") == before
