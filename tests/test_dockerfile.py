"""The Dockerfile keeps the rules that make an image small, safe and the same on any day."""

from __future__ import annotations

import fnmatch
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest
from dockerfile import ROOT, command, copied, one, stages, variables

BASE, BUILD, FINAL = stages()
HADOLINT = shutil.which("hadolint", path=f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin")


@pytest.mark.skipif(HADOLINT is None, reason="hadolint is not installed")
def test_hadolint_has_nothing_to_say() -> None:
    """All of its rules, those of shellcheck for RUN among them."""
    assert HADOLINT
    done = subprocess.run([HADOLINT, "Dockerfile"], cwd=ROOT, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "")


def test_both_stages_start_from_one_pinned_image() -> None:
    """Its digest decides, its tag is for people; the same Python builds and runs."""
    image = variables(BASE, "ARG")["PYTHON"]
    assert re.fullmatch(r"docker\.io/library/python:3\.11\.\d+-slim-\w+@sha256:[0-9a-f]{64}", image)
    assert [one(stage, "FROM") for stage in (BUILD, FINAL)] == ["${PYTHON} AS build", "${PYTHON}"]


def test_what_runs_is_no_root_and_needs_no_shell() -> None:
    """A numeric user, exec forms, and no step in the last stage that would need one."""
    assert one(FINAL, "USER") == "10001:10001"
    assert command(FINAL, "ENTRYPOINT") == ["postsync"]
    assert command(FINAL, "CMD") == ["serve"]
    assert re.search(r"CMD \[\"postsync\", \"health\"\]$", one(FINAL, "HEALTHCHECK"))
    assert [step for step in FINAL if step.name == "RUN"] == []


def test_dependencies_come_from_the_lock_alone() -> None:
    """By their hashes, and from whatever index the builder is set up for."""
    installs = [step.value for step in BUILD if step.name == "RUN" and " install " in step.value]
    assert len(installs) == 2
    assert '--require-hashes --requirement "${REQUIREMENTS}"' in installs[0]
    assert variables(BUILD, "ARG")["REQUIREMENTS"] == "requirements.lock"
    assert "--no-index --no-deps --no-build-isolation" in installs[1]
    text = (ROOT / "Dockerfile").read_text()
    assert re.findall(r"https?://|index-url|find-links", text) == []


def test_the_image_says_what_the_package_says() -> None:
    """Licence and description stand in two places."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    labels = variables(FINAL, "LABEL")
    assert labels["org.opencontainers.image.licenses"] == project["license"]
    assert labels["org.opencontainers.image.description"] == project["description"]
    assert f"--tag postsync:{project['version']} ." in (ROOT / "Dockerfile").read_text()


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_what_make_builds_is_the_same_on_any_day_and_says_what_it_is() -> None:
    """By arguments that the Dockerfile has, and with no time of the build in it."""
    said = ["make", "--no-print-directory", "--dry-run", "image", "PLATFORM=linux/arm64"]
    told = subprocess.run(said, cwd=ROOT, text=True, check=True, stdout=subprocess.PIPE).stdout
    words = shlex.split(told.partition("docker ")[2])
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    given = {after.partition("=")[0]: after for word, after in pairwise(words) if word[:2] == "--"}
    assert given.keys() >= {*variables(BUILD, "ARG"), "org.opencontainers.image.revision"}
    assert "--provenance=false" in words
    archive = f"dist/postsync-{project['version']}-linux-arm64.tar"
    output = {f"dest={archive}", "type=oci", "rewrite-timestamp=true"}
    assert set(words[words.index("--output") + 1].split(",")) == output
    assert f"org.opencontainers.image.version={project['version']}" in words


def test_only_what_is_copied_is_sent_to_the_builder() -> None:
    """Tokens and the ledger of a checkout lie in the same folder."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    names = set(copied())
    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == names
    assert all((ROOT / name).exists() for name in names)
    assert [name for name in names if any(fnmatch.fnmatch(name, rule) for rule in rules[1:])] == []
