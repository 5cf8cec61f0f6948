"""Small disks of their own, which a test may fill or break; making them needs root."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class Disk:
    """A file system that is mounted at ``place``."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._filler = place / "filler"

    def fill(self) -> None:
        """Take all the space that is left."""
        with self._filler.open("ab", buffering=0) as filler:
            for size in (1 << 20, 4096):
                try:
                    while filler.write(b"\0" * size):
                        pass
                except OSError:
                    continue

    def free(self) -> None:
        """Give that space back."""
        self._filler.unlink()


class BreakingDisk(Disk):
    """An ext4 in a file, which turns read-only at its first error, as Debian mounts a root."""

    def __init__(self, place: Path, image: Path) -> None:
        super().__init__(place)
        self._image = image

    def make(self) -> None:
        """Make it, and mount it."""
        with self._image.open("wb") as file:
            file.truncate(128 << 20)
        _run("mkfs.ext4", "-q", "-F", str(self._image))
        self._mount()

    def sync(self) -> None:
        """Have it keep what was written so far, as it would after half a minute."""
        _run("sync", "--file-system", str(self.place))

    def abort(self) -> None:
        """Have it behave as after an error of the device (ext4(5), the option abort)."""
        _run("mount", "-o", "remount,abort", str(self.place))

    def repair(self) -> None:
        """Check it and mount it again; nobody may use it meanwhile."""
        _run("umount", str(self.place))
        done = subprocess.run(
            ["e2fsck", "-fy", str(self._image)], capture_output=True, text=True, check=False
        )
        assert done.returncode in {0, 1}, done.stdout  # 1: errors were corrected
        self._mount()

    def _mount(self) -> None:
        _run("mount", "-o", "loop,errors=remount-ro", str(self._image), str(self.place))


@contextmanager
def small_disk(place: Path, megabytes: int) -> Iterator[Disk]:
    """Mount a disk that is soon full."""
    place.mkdir()
    _mounted("mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(place))
    try:
        yield Disk(place)
    finally:
        _run("umount", "--lazy", str(place))


@contextmanager
def breaking_disk(folder: Path) -> Iterator[BreakingDisk]:
    """Mount a disk that can be broken."""
    disk = BreakingDisk(folder / "breaking", folder / "image")
    disk.place.mkdir()
    if os.geteuid() != 0:
        pytest.skip("a disk cannot be mounted: be root")
    try:
        disk.make()
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"an ext4 in a file cannot be mounted: {error}")
    try:
        yield disk
    finally:
        _run("umount", "--lazy", str(disk.place))


def _mounted(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted: {done.stderr.strip()} (be root)")


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
