"""What the tests of the server start from."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from served import Serve, Served


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start servers; all of them end with the test."""
    started: list[Served] = []

    def start(
        config: Path | None = None, errors: int = subprocess.DEVNULL, **settings: object
    ) -> Served:
        started.append(Served(config, errors, **settings))
        return started[-1]

    yield start
    for served in started:
        served.process.terminate()
        served.process.communicate(timeout=20)
