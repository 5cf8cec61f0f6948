"""Argo CD's own notifications engine, built once for the tests that ask it (tests/argocd/)."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import pytest
import yaml
from control_plane import CACHES

from receiver.notification.argocd_config import notification_config

HERE = Path(__file__).parent
APPLICATION = HERE / "data/notifications/application.json"

Json: TypeAlias = dict[str, Any]


class Engine:
    """The built program, and the notification config that `postsync argocd-config` prints."""

    def __init__(self, program: Path, folder: Path) -> None:
        self._program = program
        self._folder = folder

    def render(self, application: Json) -> bytes:
        """Render our template over one Application."""
        told = self._run(
            "render", str(self._config("http://127.0.0.1:9")), applications=[application]
        )
        return str(json.loads(told)).encode()

    def send(
        self, url: str, token: str, *applications: Json, keys: Json | None = None
    ) -> list[list[Json]]:
        """Run the triggers and send; for each Application what was met, with its errors.

        ``keys`` of the ConfigMap are those of the user, beside ours or in their place.
        """
        config = self._config(url, keys)
        told = self._run("send", str(config), token, applications=list(applications))
        return [json.loads(line)["met"] for line in told.splitlines()]

    def look(
        self, url: str, token: str, application: Json, *, ahead: float, trigger: str = ""
    ) -> Json:
        """Have the controller look at an Application, so many seconds ahead of now.

        What it remembers is in the Application's annotations, as with Argo CD; they are set here.

        Args:
            url: where to send.
            token: with what.
            application: what it sees.
            ahead: the seconds.
            trigger: another one than ours, as YAML.

        Returns:
            How many sends went well (``sent``), and how many did not (``failed``).
        """
        config = self._config(url, {"trigger.on-sync-finished": trigger} if trigger else None)
        line = {"app": application, "ahead": ahead}
        told: Json = json.loads(self._run("pass", str(config), token, applications=[line]))
        application["metadata"]["annotations"] = told.pop("annotations")
        return told

    def health(self, config_map: Json, *objects: Json) -> list[Json | None]:
        """Judge objects by the health checks of `argocd-cm`; None where there is none."""
        config = self._folder / "argocd-cm.yaml"
        config.write_text(yaml.safe_dump(config_map), encoding="utf-8")
        told = self._run("health", str(config), applications=[*objects])
        return [json.loads(line) for line in told.splitlines()]

    def _config(self, url: str, keys: Json | None = None) -> Path:
        tree = yaml.safe_load(notification_config(url))
        tree["data"] |= keys or {}
        config = self._folder / "notifications.yaml"
        config.write_text(yaml.safe_dump(tree), encoding="utf-8")
        return config

    def _run(self, *arguments: str, applications: list[Json]) -> str:
        return subprocess.run(
            [str(self._program), *arguments],
            input="\n".join(json.dumps(one) for one in applications),
            stdout=subprocess.PIPE,
            check=True,
            text=True,
            timeout=120,
        ).stdout


def build_engine(folder: Path) -> Engine:
    """Build the program, or skip the test with the reason why it cannot be built.

    It is kept for as long as its sources are the same: linking it takes four CPU seconds.
    """
    sources = sorted(path for path in (HERE / "argocd").iterdir() if path.is_file())
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    kept = CACHES / f"postsync-tests/argocd-engine-{digest}"
    if kept.exists():
        return Engine(kept, folder)
    if shutil.which("go") is None:
        pytest.skip("go is not installed, so Argo CD's engine cannot be built")
    kept.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=kept.parent) as place:
        program = Path(place) / "controller"
        build = subprocess.run(
            ["go", "build", "-o", str(program), "."],
            cwd=HERE / "argocd",
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        if build.returncode:
            pytest.skip(f"Argo CD's engine does not build here: {build.stderr[-300:]}")
        program.rename(kept)  # in one step: other clones may build it at the same time
    return Engine(kept, folder)


def application() -> Json:
    """A whole Application as Argo CD has it, after a sync."""
    tree: Json = json.loads(APPLICATION.read_bytes())
    return tree
