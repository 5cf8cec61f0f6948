"""A ledger's file that is damaged, or that cannot be written, met at the start."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from disks import BreakingDisk, breaking_disk
from forked import postsync
from scenario import CALL
from service import ROOT, Service, Target

from receiver.ledger.engine.open import open_ledger

PAGE = 4096
"""Bytes of a page of SQLite's, unless it is told otherwise."""


def noise(size: int) -> bytes:
    return random.Random(20261121).randbytes(size)  # noqa: S311 repeatable, no secret


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "header": lambda good: noise(100) + good[100:],
    "first page": lambda good: good[:100] + noise(PAGE - 100) + good[PAGE:],
    "all but the first page": lambda good: good[:PAGE] + noise(len(good) - PAGE),
    "second half is missing": lambda good: good[: len(good) // 2 // PAGE * PAGE],
    "all but some bytes are missing": lambda good: good[:50],
    "zeros": lambda good: bytes(len(good)),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_is_refused_and_left_as_it_is(
    tmp_path: Path, target: Target, damage: Callable[[bytes], bytes]
) -> None:
    """One message that names the file, exit code 1, and every byte where it was."""
    service = Service(tmp_path, CALL.format(url=target.url))
    file = tmp_path / "ledger.db"
    open_ledger(file).close()
    damaged = damage(file.read_bytes())
    file.write_bytes(damaged)
    done = _serve(service)
    assert done.returncode == 1
    (message,) = done.stderr.splitlines()
    assert f"the ledger {file} is damaged" in message
    assert "cp BACKUP" in message
    assert file.read_bytes() == damaged
    assert not {"ledger.db-wal", "ledger.db-shm"} & {path.name for path in tmp_path.iterdir()}


@pytest.fixture
def breaking(tmp_path: Path) -> Iterator[BreakingDisk]:
    with breaking_disk(tmp_path) as disk:
        yield disk


def test_a_disk_that_is_read_only_is_told_at_the_start(
    breaking: BreakingDisk, target: Target
) -> None:
    """The message names the way out, and the file is the same afterwards."""
    home = breaking.place / "home"
    service = Service(home, CALL.format(url=target.url))
    open_ledger(home / "ledger.db").close()
    before = (home / "ledger.db").read_bytes()
    breaking.sync()
    breaking.abort()
    done = _serve(service)
    assert done.returncode == 1
    (message,) = done.stderr.splitlines()
    assert "cannot be opened" in message
    assert "set POSTSYNC_HOME to a folder that this user may write" in message
    assert (home / "ledger.db").read_bytes() == before


def _serve(service: Service) -> subprocess.CompletedProcess[str]:
    return postsync("serve", cwd=ROOT, environ=service.environ)
