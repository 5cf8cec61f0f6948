"""Finds and reads rule files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from receiver import user_files
from receiver.errors import Problem, Unreadable

SUFFIXES = {".yaml", ".yml"}


def rule_files(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield each file named, and the YAML files of each folder by name, its subfolders too.

    Names that begin with a dot are left out: a mounted ConfigMap has its real files below
    ``..data`` and links to them beside it. Links are followed, but not back into a folder that
    they are in.
    """
    for path in paths:
        if path.is_dir():
            yield from _in_folder(path, ())
        else:
            yield path


def _in_folder(folder: Path, above: tuple[Path, ...]) -> Iterator[Path]:
    real = folder.resolve()
    if real in above:
        return
    for item in sorted(item for item in folder.iterdir() if not item.name.startswith(".")):
        if item.is_dir():
            yield from _in_folder(item, (*above, real))
        elif item.suffix in SUFFIXES:
            yield item


def read_text(file: Path) -> str | Problem:
    """Return a file's text, or what is wrong with it."""
    try:
        return user_files.read_text(file)
    except Unreadable as error:
        return Problem(str(file), error.line, error.column, "", error.why)
