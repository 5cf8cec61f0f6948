"""A network of two hosts whose wire can be cut, in the kernel: what is sent is swallowed."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

FAR = "eth0"
"""The other host's end."""

NOBODY = ("lladdr", "02:00:00:00:00:99", "nud", "permanent")


@dataclass(frozen=True, slots=True)
class Wire:
    """Between us and another host.

    Attributes:
        link: our end of it, and ``ours`` our address there.
        address: of the other host.
        namespace: the file that names its network namespace.
    """

    link: str
    ours: str
    address: str
    namespace: Path

    def cut(self) -> None:
        """Swallow all that either side sends, by addressing it to a card that nobody has."""
        _ip("neighbour", "replace", self.address, "dev", self.link, *NOBODY)
        _ip("-n", self.namespace.name, "neighbour", "replace", self.ours, "dev", FAR, *NOBODY)

    def mend(self) -> None:
        """Let it pass again."""
        _ip("neighbour", "delete", self.address, "dev", self.link)
        _ip("-n", self.namespace.name, "neighbour", "delete", self.ours, "dev", FAR)


@contextmanager
def wire() -> Iterator[Wire]:
    """Make one; skip the test where we may not, with the reason."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("a network of its own needs root and iproute2")
    number = os.getpid()
    name, link = f"postsync-{number}", f"ps{number}"
    net = f"10.{200 + number % 50}.{number % 250}"
    try:
        _ip("netns", "add", name)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no network namespace can be made here: {error.stderr.decode().strip()}")
    try:
        _ip("link", "add", link, "type", "veth", "peer", "name", FAR, "netns", name)
        _ip("address", "add", f"{net}.1/24", "dev", link)
        _ip("link", "set", "dev", link, "up")
        _ip("-n", name, "address", "add", f"{net}.2/24", "dev", FAR)
        _ip("-n", name, "link", "set", "dev", FAR, "up")
        yield Wire(link, f"{net}.1", f"{net}.2", Path("/run/netns", name))
    finally:
        _ip("netns", "delete", name)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
