"""A real Prometheus, Debian's, which scrapes what a test has started."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from control_plane import CACHES
from service import ROOT, free_port, wait_for

EVERY = "2s"
"""A scrape that takes longer is none, on a machine that has much else to do, too."""


def program(name: str) -> str | None:
    """Find one of its programs; `make test-deps` gets them."""
    return shutil.which(name, path=f"{os.environ['PATH']}:{CACHES / 'postsync-tests'}")


@dataclass(frozen=True)
class Prometheus:
    """It is asked as Grafana does."""

    url: str

    def ask(self, expression: str) -> list[Any]:
        """Return what an expression gives now: a list of ``metric`` and ``value``."""
        asked = f"{self.url}/api/v1/query"
        answer = requests.get(asked, params={"query": expression}, timeout=30)
        assert answer.ok, answer.text
        return list(answer.json()["data"]["result"])

    def alerts(self) -> list[dict[str, Any]]:
        """Return its alert rules, each with its ``health`` and ``state``."""
        answer = requests.get(f"{self.url}/api/v1/rules", timeout=30).json()
        return [rule for group in answer["data"]["groups"] for rule in group["rules"]]

    def ready(self) -> bool:
        """Whether it answers."""
        try:
            return requests.get(f"{self.url}/-/ready", timeout=5).ok
        except requests.ConnectionError:
            return False


@contextmanager
def prometheus(folder: Path, jobs: Mapping[str, Sequence[int]]) -> Iterator[Prometheus]:
    """Scrape ports on loopback, by job, with our alerts; skip the test where there is none."""
    server = program("prometheus")
    if server is None:
        pytest.skip("needs Prometheus; `make test-deps` gets it")
    config = {
        "global": dict.fromkeys(
            ("scrape_interval", "scrape_timeout", "evaluation_interval"), EVERY
        ),
        "rule_files": [str(ROOT / "config/prometheus/alerts.yaml")],
        "scrape_configs": [
            {
                "job_name": job,
                "static_configs": [{"targets": [f"127.0.0.1:{port}" for port in ports]}],
            }
            for job, ports in jobs.items()
        ],
    }
    folder.mkdir()
    file, address = folder / "prometheus.yml", f"127.0.0.1:{free_port()}"
    file.write_text(yaml.safe_dump(config))
    command = [
        server, f"--config.file={file}", f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}", "--log.level=error",
    ]  # fmt: skip
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        started = Prometheus(f"http://{address}")
        wait_for(started.ready, 30, "Prometheus")
        yield started
    finally:
        process.kill()
        process.wait(30)
