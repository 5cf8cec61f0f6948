"""Reads folders of tokens: each file is a name, each line of it a token."""

from __future__ import annotations

import re
import shlex
from codecs import BOM_UTF8
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from receiver.core.errors import UnreadableFile
from receiver.core.user_files import read_bytes

SHORTEST = 16
"""Characters of a token; 16 of base 64 are 96 bits, beyond any guessing over a network."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")

LARGEST = 1 << 20
"""Bytes of a file of tokens, as of a Secret of Kubernetes."""

MAKE = "`openssl rand -hex 32` makes one"

Fingerprint = tuple[tuple[str, int, int, int, int], ...]


@dataclass(frozen=True, slots=True)
class Token:
    """One token: its role, its owner's name, the line it stands in, and its SHA-256."""

    role: str
    name: str
    place: str
    digest: bytes

    @property
    def owner(self) -> tuple[str, str]:
        """Role and name of whoever presents it."""
        return self.role, self.name


@dataclass(slots=True)
class FolderTokens:
    """The contents of a token folder.

    Attributes:
        mistakes: what is wrong in it; only the token or file in question is left out.
        unreadable: why tokens may be valid that are not among ``tokens``.
    """

    tokens: list[Token] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


def token_command(file: Path) -> str:
    """Return the shell command that makes a token in this file, and its folder."""
    folder, path = shlex.quote(str(file.parent)), shlex.quote(str(file))
    return f"umask 077; mkdir -p {folder}; openssl rand -hex 32 > {path}"


def read_folder(folder: Path) -> FolderTokens:
    """Read a folder; one that does not exist has no tokens."""
    found = FolderTokens()
    try:
        paths = _files(folder)
    except OSError as error:
        found.unreadable.append(f"token folder {folder} cannot be read: {error.strerror}")
        return found
    for path in paths:
        if NAME.fullmatch(path.name):
            _read_file(path, found)
        else:
            found.mistakes.append(f"token file {path}: its name must match {NAME.pattern}")
    return found


def fingerprint(folder: Path) -> Fingerprint | None:
    """Return what changes when the folder does; None if it cannot be read."""
    try:
        stats = [(path.name, path.stat()) for path in _files(folder)]
    except OSError:
        return None
    return tuple(
        (name, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
        for name, stat in stats
    )


def _files(folder: Path) -> list[Path]:
    """List the token files; hidden ones are the machinery of a Secret mount (``..data``)."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except FileNotFoundError:
        return []


def _read_file(path: Path, found: FolderTokens) -> None:
    try:
        data = read_bytes(path, LARGEST).removeprefix(BOM_UTF8)
    except UnreadableFile as error:
        if path.exists() or path.is_symlink():  # else it was removed a moment ago
            found.unreadable.append(f"token file {error.message}")
        return
    for number, line in enumerate(map(bytes.strip, data.splitlines()), 1):
        if not line:
            continue
        place = f"token file {path}, line {number}"
        if mistake := _mistake(line):
            found.mistakes.append(f"{place}: {mistake}")
        else:
            found.tokens.append(Token(path.parent.name, path.name, place, sha256(line).digest()))


def _mistake(token: bytes) -> str:
    if not (token.isascii() and token.decode().isprintable()):
        return f"the token has characters outside printable ASCII; {MAKE}"
    if len(token) < SHORTEST:
        return f"the token is shorter than {SHORTEST} characters"
    return ""
