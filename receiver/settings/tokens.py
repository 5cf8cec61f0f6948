"""Named static tokens: a folder for each role, in which each file is a name and each line a token.

All lines of a file are valid at once, so that a token can be rotated without a gap: add the new
line, change the sender, remove the old line.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Iterable
from hashlib import sha256
from itertools import chain
from pathlib import Path
from threading import Lock

from receiver.core.errors import SettingsError
from receiver.core.logs import Log
from receiver.settings.token_files import MAKE, Fingerprint, Token, fingerprint, read_folder

CHECK_EVERY = 1.0
"""Seconds between two checks of the folders."""

ROLES = ("senders", "operators", "viewers", "messengers", "extensions")


class Keyring:
    """The tokens by what they are for: a folder each, below the home folder.

    A sender posts notifications, an operator may do everything at the API, a viewer may read,
    a messenger posts the messages of hooks, and an extension asks for one Application at a time
    that Argo CD shows to a user.

    The folders are read again when their files change. A mistake is refused at the start. Later
    it is logged and left out, while the rest takes effect: a removed token must end at once.

    Attributes:
        unreadable: what cannot be read now; while there is anything, an unknown token may be a
            good one.

    Raises:
        SettingsError: a token is not usable, stands in two places (it could mean either), or a
            file cannot be read.
    """

    def __init__(
        self, home: Path, log: Log, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._log = log
        self._monotonic = monotonic
        self._lock = Lock()
        self._next_check = monotonic() + CHECK_EVERY
        self.folders = tuple(Tokens(home / role, self.current) for role in ROLES)
        self.senders, self.operators, self.viewers, self.messengers, self.extensions = self.folders
        self._seen: dict[Path, Fingerprint | None] = {}
        self._there: set[Path] = set()
        self._tokens: tuple[Token, ...] = ()
        self._mistakes: list[str] = []
        self.unreadable: list[str] = []
        self._read()
        if wrong := self.unreadable + self._mistakes:
            raise SettingsError("; ".join(wrong), hint=f"each token has a line of its own; {MAKE}")

    def current(self) -> tuple[Token, ...]:
        """Return the valid tokens, read at most a second ago."""
        if self._monotonic() >= self._next_check and self._lock.acquire(blocking=False):
            try:
                self._reload()
            finally:
                self._lock.release()
        return self._tokens

    def contains(self, presented: str, *, reload: bool) -> bool:
        """Whether a token is valid for any role; without ``reload`` no file is touched."""
        return _find(self.current() if reload else self._tokens, presented) is not None

    def digests(self, role: str, name: str, *, reload: bool) -> list[bytes]:
        """Return the SHA-256 of each valid token of a folder's file, by the names of both."""
        tokens = self.current() if reload else self._tokens
        return [one.digest for one in tokens if one.owner == (role, name)]

    def _reload(self) -> None:
        self._next_check = self._monotonic() + CHECK_EVERY
        before, mistakes, unreadable = dict(self._seen), self._mistakes, self.unreadable
        self._read()
        for tokens in self.folders:
            if before[tokens.folder] != self._seen[tokens.folder]:
                self._log.info("tokens.loaded", folder=str(tokens.folder), names=tokens.names)
        for mistake in self._mistakes:
            if mistake not in mistakes:
                self._log.warning("tokens.refused", reason=mistake)
        for reason in self.unreadable:
            if reason not in unreadable:
                self._log.error("tokens.away", reason=reason)

    def _read(self) -> None:
        seen = {tokens.folder: fingerprint(tokens.folder) for tokens in self.folders}
        if seen == self._seen and not self.unreadable:
            return
        found = [read_folder(folder) for folder in seen]
        tokens, twice = _without_duplicates(
            chain.from_iterable(one.tokens for one in found), self._tokens
        )
        self._tokens = tuple(tokens)
        self._mistakes = [*chain.from_iterable(one.mistakes for one in found), *twice]
        self.unreadable = [*chain.from_iterable(one.unreadable for one in found), *self._gone(seen)]
        self._seen = seen

    def _gone(self, folders: Iterable[Path]) -> list[str]:
        there = {folder for folder in folders if folder.is_dir()}
        gone = sorted(map(str, self._there - there))
        self._there |= there
        return [f"token folder {folder} is not there any more" for folder in gone]


class Tokens:
    """The valid tokens of one folder."""

    def __init__(self, folder: Path, current: Callable[[], tuple[Token, ...]]) -> None:
        self.folder = folder
        self._current = current

    @property
    def names(self) -> list[str]:
        """Whose tokens are valid now, sorted."""
        return sorted({token.name for token in self._mine()})

    def owner(self, presented: str, *, name: str = "") -> str | None:
        """Return whose token was presented, None if nobody's; ``name`` demands a certain owner."""
        found = _find(self._mine(), presented)
        return found.name if found is not None and name in ("", found.name) else None

    def _mine(self) -> list[Token]:
        return [token for token in self._current() if token.role == self.folder.name]


def _find(tokens: Iterable[Token], presented: str) -> Token | None:
    """Return the matching token; all are compared, so that the time taken reveals nothing."""
    digest = sha256(presented.encode("utf-8", "surrogateescape")).digest()
    found = None
    for token in tokens:
        if hmac.compare_digest(token.digest, digest):
            found = token
    return found


def _without_duplicates(
    lines: Iterable[Token], before: Iterable[Token]
) -> tuple[list[Token], list[str]]:
    """Leave out tokens that stand under two owners, except for the owner who had it before.

    Returns:
        What is valid, and a mistake for each line that is not.
    """
    owners = {token.digest: token.owner for token in before}
    places: dict[bytes, list[Token]] = {}
    for token in lines:
        places.setdefault(token.digest, []).append(token)
    valid, mistakes = [], []
    for digest, alike in places.items():
        alone = len({token.owner for token in alike}) == 1
        for token in alike:
            if alone or token.owner == owners.get(digest):
                valid.append(token)
            else:
                mistakes.append(_duplicate_message(token, alike, owners.get(digest)))
    return valid, mistakes


def _duplicate_message(token: Token, alike: Iterable[Token], keeper: tuple[str, str] | None) -> str:
    others = [other for other in alike if other.owner != token.owner]
    kept = next((other for other in others if other.owner == keeper), None)
    outcome = "which had it before and keeps it" if kept else "and is taken for neither"
    there = (kept or others[0]).place.removeprefix("token file ")
    return f"{token.place}: the same token stands in {there} too, {outcome}"
