"""The Dockerfile as its tests see it: stages, and its steps run in a folder instead of a root."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shlex
import shutil
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from dockerfile_parse import DockerfileParser

ROOT = Path(__file__).parents[1]
PLACES = ("/opt/postsync", "/var/lib/postsync", "/etc/postsync", "/src")
"""The absolute paths of the Dockerfile, which are moved below a folder."""


@dataclass(frozen=True)
class Step:
    """One instruction."""

    name: str
    value: str


def stages() -> list[list[Step]]:
    """Each stage's instructions; what stands before the first FROM is a stage of its own."""
    text = (ROOT / "Dockerfile").read_bytes()
    found: list[list[Step]] = [[]]
    for entry in DockerfileParser(fileobj=io.BytesIO(text)).structure:
        step = Step(entry["instruction"], entry["value"])
        if step.name == "FROM":
            found.append([])
        if step.name != "COMMENT":
            found[-1].append(step)
    return found


def variables(steps: list[Step], name: str = "ENV") -> dict[str, str]:
    """What a stage's ENV (or ARG, LABEL) instructions set."""
    words = [word for step in steps if step.name == name for word in shlex.split(step.value)]
    return {key: value for key, _, value in (word.partition("=") for word in words)}


def one(steps: list[Step], name: str) -> str:
    """The value of the stage's last instruction of a name."""
    return [step.value for step in steps if step.name == name][-1]


def command(steps: list[Step], name: str) -> list[str]:
    """An instruction in its exec form, which needs no shell."""
    return [str(word) for word in json.loads(one(steps, name))]


@dataclass(frozen=True)
class Box:
    """A folder that stands for the root of a file system."""

    folder: Path

    def moved(self, text: str) -> str:
        """A text with the Dockerfile's paths below the folder."""
        for place in PLACES:
            text = text.replace(place, f"{self.folder}{place}")
        return text

    def build(self, context: Path, **settings: str) -> None:
        """Run the steps of the first stage, pip as it is set up by further variables.

        Raises CalledProcessError with what was printed.
        """
        steps = stages()[1]
        environ = os.environ | settings | variables(steps, "ARG") | variables(steps)
        environ.pop("PIP_NO_CACHE_DIR")  # the machine's own cache spares its network
        environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environ['PATH']}"
        source = self.folder / "src"
        source.mkdir()
        for step in steps:
            if step.name == "COPY":
                *names, target = step.value.split()
                for name in names:
                    _copy(context / name, source / target)
            if step.name == "RUN":
                subprocess.run(
                    ["sh", "-ec", self.moved(step.value)], cwd=source, env=environ, check=True,
                    text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600,
                )  # fmt: skip

    def contents(self, below: str) -> dict[str, str]:
        """What a layer of a folder depends on: names, modes, times and bytes."""
        top = self.folder / below.lstrip("/")
        return {str(path): _described(path) for path in (top, *top.rglob("*"))}


def copied() -> list[str]:
    """The names that the first stage copies from its context."""
    values = [step.value.split()[:-1] for step in stages()[1] if step.name == "COPY"]
    return [name for names in values for name in names]


def make_context(folder: Path) -> None:
    """Copy what a builder is sent, which may be edited while it builds."""
    for name in copied():
        _copy(ROOT / name, folder / name)


def _described(path: Path) -> str:
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        return f"{status.st_mtime_ns} link to {path.readlink()}"
    body = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
    return f"{status.st_mtime_ns} {status.st_mode:o} {hashlib.sha256(body).hexdigest()}"


def _copy(origin: Path, target: Path) -> None:
    if origin.is_dir():
        shutil.copytree(origin, target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    else:
        shutil.copy(origin, target)
