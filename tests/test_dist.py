"""`make dist`: the same archives of a commit on any day, and a wheel that has all it needs."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tomllib
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

import pytest
import release
from control_plane import CACHES, RELEASE
from helm_chart import CHART, helm
from service import ROOT, free_port, wait_for

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("dist"),  # built by one worker
    pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed"),
]
KEPT = CACHES / "postsync-tests/wheels"
UNREAD = {"protobuf"}
"""What names its licence in a line of text alone, which the lists do not take over."""
SOMEBODY = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.com"]


def git(folder: Path, *words: str) -> list[str]:
    done = subprocess.run(["git", *SOMEBODY, *words], cwd=folder, check=True, text=True,
                          stdout=subprocess.PIPE)  # fmt: skip
    return done.stdout.splitlines()


def build(checkout: Path) -> subprocess.CompletedProcess[str]:
    """What `make dist` runs."""
    words = [sys.executable, str(ROOT / ".ci/release.py"), str(KEPT)]
    return subprocess.run(words, cwd=checkout, check=False, text=True,
                          capture_output=True, timeout=600)  # fmt: skip


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A commit of what this checkout has now."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in git(ROOT, "ls-files", "--cached", "--others", "--exclude-standard"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "All")
    return folder


@pytest.fixture(scope="module")
def made(checkout: Path) -> Path:
    done = build(checkout)
    assert done.returncode == 0, done.stdout + done.stderr
    return checkout / "dist"


@pytest.fixture(scope="module")
def again(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archives built anew: in another folder, from older files, by a careful user far away."""
    other, folder = tmp_path_factory.mktemp("other") / "clone", tmp_path_factory.mktemp("again")
    umask = os.umask(0o077)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TZ", "Pacific/Kiritimati")
            git(checkout, "clone", "--quiet", str(checkout), str(other))
            (other / "receiver/left_over.py").write_text("")
            for path in other.rglob("*"):
                os.utime(path, (1e9, 1e9))
            release.archives(other, folder)
    finally:
        os.umask(umask)
    return folder


@pytest.fixture(scope="module")
def venv(again: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel with what the lock has, and nothing of the checkout."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    release.install(ROOT / "requirements.lock", next(again.glob("*.whl")), folder, KEPT)
    return folder


def test_the_same_commit_gives_the_same_bytes(made: Path, again: Path, venv: Path) -> None:
    """The list of packages, too, of another virtual environment."""
    names = sorted(path.name for path in again.iterdir())
    assert names == [
        "postsync-0.1.0.tgz", "postsync_receiver-0.1.0-py3-none-any.whl",
        "postsync_receiver-0.1.0.tar.gz",
    ]  # fmt: skip
    for name in names:
        assert (made / name).read_bytes() == (again / name).read_bytes(), name
    listed = (made / "postsync_receiver-0.1.0.cdx.json").read_bytes()
    assert release.packages(venv, ROOT) == listed


def test_the_wheel_has_each_file_of_the_packages(checkout: Path, again: Path) -> None:
    """And nothing else, as what lies about in the checkout."""
    with zipfile.ZipFile(next(again.glob("*.whl"))) as wheel:
        packed = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert packed == {*git(checkout, "ls-files", "receiver", "handlers")}


def test_helm_takes_the_chart_that_is_packed(again: Path) -> None:
    """And makes of it what it makes of the folder."""
    words = ("--kube-version", RELEASE, "--namespace", "postsync")
    charts = (again / "postsync-0.1.0.tgz", CHART)
    made = [helm("template", "postsync", chart, *words) for chart in charts]
    assert [one.returncode for one in made] == [0, 0]
    assert made[0].stdout == made[1].stdout


def test_the_source_distribution_has_what_builds_it_and_its_history(again: Path) -> None:
    """No tests: they need the whole checkout."""
    with tarfile.open(next(again.glob("*.tar.gz"))) as archive:
        names = {name.split("/")[1] for name in archive.getnames() if "/" in name}
    assert names == {
        "CHANGELOG.md", "LICENSE", "MANIFEST.in", "PKG-INFO", "README.md", "handlers",
        "postsync_receiver.egg-info", "pyproject.toml", "receiver", "requirements-extras.lock",
        "requirements.lock", "setup.cfg",
    }  # fmt: skip


def test_the_lists_name_what_the_locks_install(made: Path) -> None:
    """With licence and version each; none of what only builds, or is for another system."""
    for lock, ending in release.LOCKS.items():
        told = json.loads((made / f"postsync_receiver-0.1.0{ending}.cdx.json").read_text())
        assert (told["bomFormat"], told["metadata"]["component"]["version"]) == (
            "CycloneDX", "0.1.0",
        )  # fmt: skip
        listed = {
            f"{one['name'].lower().replace('_', '-')}=={one['version']}"
            for one in told["components"]
        }
        locked = {
            line.split()[0] for line in (ROOT / lock).read_text().splitlines() if "==" in line
        }
        assert listed <= locked
        left_out = {name.partition("==")[0] for name in locked - listed}
        assert left_out - {"tzdata"} == {"setuptools"}, lock
        unsaid = {one["name"] for one in told["components"] if not one.get("licenses")}
        assert unsaid <= UNREAD


def test_the_sums_are_those_of_the_files(made: Path) -> None:
    lines = [line.split("  ") for line in (made / "SHA256SUMS").read_text().splitlines()]
    assert {name for _, name in lines} == {path.name for path in made.iterdir()} - {"SHA256SUMS"}
    for digest, name in lines:
        assert hashlib.sha256((made / name).read_bytes()).hexdigest() == digest


def test_the_changelog_knows_the_version_or_that_there_is_no_release() -> None:
    """Which release a version is stands in two places."""
    text = (ROOT / "CHANGELOG.md").read_text()
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    released = re.findall(r"^## \[(\d.*?)\] - \d{4}-\d\d-\d\d$", text, re.MULTILINE)
    assert released[:1] == [version] or "There is no release yet" in text


def test_what_is_not_committed_is_told_and_nothing_built(checkout: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "--quiet", str(checkout), "clone")
    (tmp_path / "clone/receiver/new.py").write_text("")
    done = build(tmp_path / "clone")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "make dist: a release is made of a commit; commit or stash first:\n?? receiver/new.py\n"
    )
    assert not (tmp_path / "clone/dist").exists()


def test_the_installed_wheel_serves_from_an_empty_folder(venv: Path, tmp_path: Path) -> None:
    """What `init` made is checked, a notification is taken and told, the page is shown."""
    port = free_port()
    environ = {"HOME": str(tmp_path), "POSTSYNC_PORT": str(port)}
    environ["POSTSYNC_URL"] = f"http://127.0.0.1:{port}"

    def postsync(*words: str) -> str:
        done = subprocess.run([venv / "bin/postsync", *words], cwd=tmp_path, env=environ, text=True,
                              check=False, capture_output=True, timeout=60)  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def answered(path: str) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
                return bool(answer.read())
        except urllib.error.URLError:
            return False

    postsync("init")
    environ["POSTSYNC_SETTINGS"] = "settings.yaml"
    postsync("check")
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen([venv / "bin/postsync", "serve"], cwd=tmp_path, env=environ,
                                  stdout=log, stderr=log)  # fmt: skip
    try:
        wait_for(lambda: answered("/readyz"), 60, "readiness")
        postsync("send", "notification.json", "--now")
        assert "succeeded" in postsync("show", "last", "--wait", "60")
        for path in ("/page/login", "/page/assets/page.css", "/v1/openapi.json"):
            assert answered(path), path
    finally:
        server.send_signal(signal.SIGTERM)
        code = server.wait(60)
    assert code == 0, (tmp_path / "log").read_text()
