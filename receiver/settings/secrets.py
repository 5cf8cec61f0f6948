"""Resolves references to secrets, at each attempt anew: a file may be rotated meanwhile.

A variable is the process's own: only a restart changes it.
"""

from __future__ import annotations

import os
from pathlib import Path

from receiver.core.errors import TemporaryError, UnreadableFile
from receiver.core.user_files import read_bytes
from receiver.rules.handlers.secret_refs import SecretRef

LARGEST = 1 << 20
"""Bytes of a secret: as much as a Secret of Kubernetes may have."""


class Secrets:
    """Variables POSTSYNC_SECRET_*, and files below one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def resolve(self, ref: SecretRef) -> str:
        """Return the value, without its format and without one newline at its end.

        Raises:
            TemporaryError: it is not there, or empty; an operator can add it while the retries
                go on.
        """
        if ref.kind == "secret":
            raise TemporaryError(f"secret {ref} is one of a namespace, which is not asked here")
        value = self._variable(ref.name) if ref.kind == "env" else self._file(ref.name)
        if not value:
            raise TemporaryError(f"secret {ref} is empty")
        return value

    def _variable(self, name: str) -> str:
        if not name.startswith("POSTSYNC_SECRET_"):
            raise TemporaryError(f"secret {{env: {name}}} is no POSTSYNC_SECRET_* variable")
        if name not in os.environ:
            raise TemporaryError(
                f"secret {{env: {name}}} is not set", hint="set it where the dispatcher runs"
            )
        try:
            return os.fsencode(os.environ[name]).decode()
        except UnicodeDecodeError:
            raise TemporaryError(f"secret {{env: {name}}} is no UTF-8 text") from None

    def _file(self, name: str) -> str:
        """Read a file; its links are followed within the folder, as a Secret's mount has them."""
        folder = self._folder.resolve()
        # Not Pathlib's `resolve`, whose error for a circle of links depends on the version of
        # Python: here opening the file fails, with the system's own message.
        path = Path(os.path.realpath(folder / name))
        if not path.is_relative_to(folder):
            raise TemporaryError(f"secret {{file: {name}}} leads out of the secrets folder")
        try:
            return read_bytes(path, LARGEST).decode().removesuffix("\n").removesuffix("\r")
        except UnreadableFile as error:
            why = error.why
        except UnicodeDecodeError:
            why = "cannot be read: it is no UTF-8 text"
        raise TemporaryError(f"secret {{file: {name}}} {why}", hint=f"put it into {folder}")
