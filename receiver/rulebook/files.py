"""Finds and reads rule files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from receiver.errors import Problem

SUFFIXES = {".yaml", ".yml"}
LARGEST = 8 << 20
"""Bytes of one file; a ConfigMap holds at most one MiB."""


def rule_files(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield each file named, and the YAML files of each folder by name, its subfolders too.

    Names that begin with a dot are left out: a mounted ConfigMap has its real files below
    ``..data`` and links to them beside it. Links are followed.
    """
    for path in paths:
        if path.is_dir():
            names = sorted(item for item in path.iterdir() if not item.name.startswith("."))
            for item in names:
                if item.is_dir():
                    yield from rule_files([item])
                elif item.suffix in SUFFIXES:
                    yield item
        else:
            yield path


def read_text(file: Path) -> str | Problem:
    """Return a file's text, or what is wrong with it."""
    try:
        body = file.read_bytes() if file.stat().st_size <= LARGEST else None
    except OSError as error:
        reason = "does not exist" if isinstance(error, FileNotFoundError) else error.strerror
        return Problem(str(file), 0, 0, "", f"cannot be read: {reason}")
    if body is None:
        return Problem(str(file), 0, 0, "", f"is larger than {LARGEST >> 20} MiB")
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
        column = error.start - body.rfind(b"\n", 0, error.start)
        return Problem(str(file), line, column, "", "is not UTF-8")
