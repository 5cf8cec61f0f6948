"""Finds and reads rule files."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from receiver.core import user_files
from receiver.core.errors import Problem, UnreadableFile

SUFFIXES = {".yaml", ".yml"}
MOST = 20_000
"""Names below one folder, polled every other second: a set of rules has some hundred, and a
folder with more is a home, a disk or a checkout that was named by mistake."""


def rule_files(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield each file named, and the YAML files of each folder by name, its subfolders too.

    Names that begin with a dot are left out: a mounted ConfigMap has its real files below
    ``..data`` and links to them beside it. Links are followed, but each folder is read once: links
    to folders with such links would make a path for each way through them.

    Raises:
        OSError: a folder cannot be read, or has more than `MOST` names below it.
    """
    for path in paths:
        if path.is_dir():
            yield from _Walk(path).below(path)
        else:
            yield path


class _Walk:
    """Goes through the folders below one."""

    def __init__(self, top: Path) -> None:
        self._top = top
        self._seen: set[Path] = set()
        self._names = 0

    def below(self, folder: Path) -> Iterator[Path]:
        real = folder.resolve()
        if real in self._seen:
            return
        self._seen.add(real)
        for item in sorted(self._visible(folder)):
            if item.is_dir():
                yield from self.below(item)
            elif item.suffix in SUFFIXES:
                yield item

    def _visible(self, folder: Path) -> Iterator[Path]:
        for item in folder.iterdir():
            self._names += 1
            if self._names > MOST:
                raise OSError(errno.E2BIG, f"has more than {MOST} names below it", str(self._top))
            if not item.name.startswith("."):
                yield item


def read_text(file: Path) -> str | Problem:
    """Return a file's text, or what is wrong with it."""
    name = os.fsencode(file).decode(errors="replace")
    if name != str(file):  # it is stored, and shown in messages
        return Problem(name, 0, 0, "", "has a name that is not UTF-8")
    try:
        return user_files.read_text(file)
    except UnreadableFile as error:
        return Problem(str(file), error.line, error.column, "", error.why)
