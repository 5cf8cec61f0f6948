"""The tutorial, and other pages with commands, followed word by word from an empty folder."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO

import pytest
from forked_shell import forking_postsync
from service import ROOT, free_port, wait_for

BLOCK = re.compile(r"(?:<!-- (.*?) -->\n)?^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
ACTIVATE = ". venv/bin/activate\n"
"""These terminals have the commands already; tests/test_dist.py installs the wheel."""
BUSY = "python3 cache.py\n", "postsync serve\n"
VARYING = re.compile(
    r"\b[a-z]-[0-9a-z]{18}\b|\d\d:\d\d:\d\d\.\d+Z|(?<=seconds=)[\d.]+|\b[0-9a-f]{12}\b"
)
"""Ids, times and the digest of the rules, which name a port of this machine here."""


class Terminal:
    """A shell into which somebody types, and what it has shown."""

    def __init__(self, folder: Path, environ: dict[str, str], shown: Path) -> None:
        self._file, self._before = shown, 0
        with shown.open("w") as out:
            self._shell = subprocess.Popen(["bash"], cwd=folder, env=environ, text=True, stdout=out,
                                           stderr=out, stdin=subprocess.PIPE, bufsize=1,
                                           start_new_session=True)  # fmt: skip

    def type(self, text: str) -> None:
        """Type it, and wait until it is done, but for what serves from now on."""
        self._before = len(self.all_shown())
        if text.endswith(BUSY):
            self._keys.write(text)
        else:
            self._keys.write(f"set -e\n{text}set +e\necho '#done'\n")
            wait_for(lambda: "#done" in self.shown(), 60, text)

    def shown(self) -> list[str]:
        """The lines since the last time that somebody typed."""
        return self.all_shown()[self._before :]

    def all_shown(self) -> list[str]:
        return self._file.read_text().splitlines()

    @property
    def _keys(self) -> IO[str]:
        assert self._shell.stdin is not None
        return self._shell.stdin

    def close(self) -> None:
        os.killpg(self._shell.pid, signal.SIGTERM)
        self._keys.close()
        self._shell.wait(60)


@contextmanager
def terminals(folder: Path, environ: dict[str, str]) -> Iterator[dict[str, Terminal]]:
    """The three of the reader, all in the folder of the start."""
    made = {
        name: Terminal(folder, environ, folder.parent / name)
        for name in ("cache", "work", "server")
    }
    try:
        yield made
    finally:
        for one in made.values():
            one.close()


def plain(line: str) -> str:
    """A line without what differs from one run to the next."""
    return " ".join(VARYING.sub("*", line).split())


@contextmanager
def desk(folder: Path, ports: dict[str, int]) -> Iterator[dict[str, Terminal]]:
    """What a reader has: `postsync` on the path, an empty folder, and terminals in it."""
    reader = folder / "empty"
    reader.mkdir()
    with forking_postsync(folder) as programs:
        environ = {
            "HOME": str(folder), "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "POSTSYNC_PORT": str(ports["8080"]), "COLUMNS": "200", "PYTHONUNBUFFERED": "1",
            "POSTSYNC_URL": f"http://127.0.0.1:{ports['8080']}",
        }  # fmt: skip
        with terminals(reader, environ) as made:
            yield made


@pytest.mark.parametrize(("page", "purges"), [("tutorial", 1), ("leave-out", 0)])
def test_a_page_word_by_word(tmp_path: Path, page: str, purges: int) -> None:
    """Each block in its order: a file is written, a command typed, and what is shown compared."""
    ports = {"8080": free_port(), "8081": free_port()}
    blocks = BLOCK.findall((ROOT / f"docs/{page}.md").read_text())
    assert len(blocks) > 3
    with desk(tmp_path, ports) as made:
        for marker, language, text in blocks:
            follow(
                marker or language,
                text.replace("8081", str(ports["8081"])),
                tmp_path / "empty",
                made,
            )
            if text.endswith(BUSY):
                port = ports["8081" if "cache" in text else "8080"]
                wait_for(partial(listens, port), 30, text)
        assert made["cache"].all_shown().count("PURGE / purged") == purges


def listens(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def follow(marker: str, text: str, folder: Path, made: dict[str, Terminal]) -> None:
    """Do what a block of the page is for."""
    what, _, name = marker.partition(" ")
    if what == "file":
        (folder / name).write_text(text)
    elif name == "cache shows":
        wanted = text.splitlines()
        wait_for(lambda: made["cache"].all_shown() == wanted, 10, text)
    elif what == "terminal":
        made[name].type(text.replace(ACTIVATE, ""))
    elif what == "text":
        shown = "\n".join(map(plain, made["work"].shown()))
        assert [line for line in text.splitlines() if plain(line) not in shown] == [], shown
