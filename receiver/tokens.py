"""Named static tokens: a folder in which each file is a name and each line of it a token.

Several lines are valid at once, so that a token can be rotated without a gap: add the new
line, change the sender, remove the old line.
"""

from __future__ import annotations

import hmac
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from itertools import combinations
from pathlib import Path
from threading import Lock

from receiver.errors import SettingsError, Unreadable
from receiver.logs import Log
from receiver.user_files import read_text

SHORTEST = 16
"""Characters of a token; 16 of base 64 are 96 bits, beyond any guessing over a network."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")

CHECK_EVERY = 1.0
"""Seconds between two looks at the folder."""


@dataclass(frozen=True, slots=True)
class Token:
    """One valid token: whose it is, and its SHA-256."""

    name: str
    digest: bytes


Fingerprint = tuple[tuple[str, int, int, int], ...]


class Tokens:
    """The tokens of one folder, read again when its files change.

    A folder with a mistake is refused at the start. Later the mistake is logged and left
    out, while the rest of the folder takes effect: a removed token must end at once.

    Raises:
        SettingsError: a token is too short or has two names, or a file cannot be read.
    """

    def __init__(
        self, folder: Path, log: Log, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.folder = folder
        self._log = log
        self._monotonic = monotonic
        self._lock = Lock()
        self._seen = _fingerprint(folder)
        self._next_look = monotonic() + CHECK_EVERY
        self._tokens, mistakes = _read(folder)
        if mistakes:
            raise SettingsError("; ".join(mistakes))

    @property
    def digests(self) -> frozenset[bytes]:
        """The SHA-256 of each token."""
        return frozenset(token.digest for token in self._current())

    @property
    def names(self) -> list[str]:
        """Whose tokens are valid now, sorted."""
        return sorted({token.name for token in self._current()})

    def owner(self, presented: str, *, name: str = "") -> str | None:
        """Tell whose token was presented, None if nobody's; ``name`` demands a certain owner.

        All tokens are compared whatever matches, so that the time tells nothing.
        """
        digest = sha256(presented.encode("utf-8", "surrogateescape")).digest()
        found = None
        for token in self._current():
            if hmac.compare_digest(token.digest, digest):
                found = token.name
        return found if found is None or not name or name == found else None

    def _current(self) -> tuple[Token, ...]:
        if self._monotonic() >= self._next_look and self._lock.acquire(blocking=False):
            try:
                self._look()
            finally:
                self._lock.release()
        return self._tokens

    def _look(self) -> None:
        self._next_look = self._monotonic() + CHECK_EVERY
        seen = _fingerprint(self.folder)
        if seen == self._seen:
            return
        self._tokens, mistakes = _read(self.folder)
        self._seen = seen
        names = sorted({token.name for token in self._tokens})
        self._log.info("tokens.loaded", folder=str(self.folder), names=names)
        for mistake in mistakes:
            self._log.warning("tokens.refused", folder=str(self.folder), reason=mistake)


@dataclass(frozen=True, slots=True)
class Keyring:
    """The tokens by what they are for: a folder each, below the home folder.

    A sender posts notifications, an operator may do everything at the API, a viewer may read,
    and a messenger posts the words of hooks.
    """

    senders: Tokens
    operators: Tokens
    viewers: Tokens
    messengers: Tokens

    @classmethod
    def open(cls, home: Path, log: Log) -> Keyring:
        """Read the folders.

        Raises:
            SettingsError: a token is not usable, or stands in two folders: it could mean either.
        """
        keys = cls(*(Tokens(home / name, log) for name in ROLES))
        for one, other in combinations(keys.folders, 2):
            if one.digests & other.digests:
                raise SettingsError(
                    f"the same token stands in {one.folder} and in {other.folder}",
                    hint="give each its own: `openssl rand -hex 32` makes one",
                )
        return keys

    @property
    def folders(self) -> tuple[Tokens, ...]:
        """All of them."""
        return (self.senders, self.operators, self.viewers, self.messengers)


ROLES = ("senders", "operators", "viewers", "messengers")


def _files(folder: Path) -> list[Path]:
    """List the token files; hidden ones are the machinery of a Secret mount (``..data``)."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise SettingsError(f"token folder {folder}: {error.strerror}") from None


def _fingerprint(folder: Path) -> Fingerprint:
    try:
        stats = [(path.name, path.stat()) for path in _files(folder)]
    except (OSError, SettingsError):
        return ()
    return tuple((name, stat.st_ino, stat.st_size, stat.st_mtime_ns) for name, stat in stats)


def _read(folder: Path) -> tuple[tuple[Token, ...], list[str]]:
    """Read every token; a mistake costs only what it is about."""
    names: dict[bytes, str] = {}
    mistakes: list[str] = []
    try:
        paths = _files(folder)
    except SettingsError as error:
        return (), [str(error)]
    for path in paths:
        if not NAME.fullmatch(path.name):
            mistakes.append(f"token file {path}: its name must match {NAME.pattern}")
            continue
        try:
            lines = read_text(path).splitlines()
        except Unreadable as error:
            mistakes.append(f"token file {error}")
            continue
        for number, line in enumerate(lines, 1):
            mistake = _add(names, path.name, line.strip())
            if mistake:
                mistakes.append(f"token file {path}, line {number}: {mistake}")
    return tuple(Token(name, digest) for digest, name in names.items()), mistakes


def _add(names: dict[bytes, str], name: str, token: str) -> str:
    if not token:
        return ""
    if len(token) < SHORTEST:
        return f"the token is shorter than {SHORTEST} characters"
    owner = names.setdefault(sha256(token.encode()).digest(), name)
    return "" if owner == name else f"the same token stands in {owner} too"
