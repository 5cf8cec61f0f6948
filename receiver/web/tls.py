"""The certificate in use, loaded again when its files change."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

from receiver.core.errors import SettingsError
from receiver.core.logs import Log
from receiver.core.model import rfc3339
from receiver.core.threads import SupervisedThread
from receiver.settings.model import Settings
from receiver.web.certificate import Certificate, read_certificate

CHECK_EVERY = 1.0
"""Seconds between two checks of the files."""

Fingerprint: TypeAlias = tuple[tuple[int, int, int], ...]


class Tls:
    """Serves with the pair in the files, and with a new pair as soon as that is complete.

    A new pair gets a context of its own: OpenSSL forbids changing one that other threads use,
    and a pair that fails half-way would leave a mixed one. Open connections keep the old one.

    Attributes:
        current: what new connections are made with.

    Raises:
        SettingsError: the pair that is there now cannot be served with.
    """

    def __init__(self, certificate: Path, key: Path, log: Log) -> None:
        self.certificate = certificate
        self.key = key
        self._log = log
        self._loaded = self._seen = self._fingerprint()
        self.current: Certificate = read_certificate(certificate, key)
        self._log_current()

    def start(self) -> None:
        """Begin to watch, in the process that serves; a change before that is loaded at once."""
        seen = self._fingerprint()
        if seen != self._loaded:
            self._reload(seen)
        SupervisedThread("tls", self._watch).start()

    def _check(self) -> None:
        """Load a new pair that has not changed since the last check.

        The key may be written a moment after the certificate.
        """
        seen, before = self._fingerprint(), self._seen
        self._seen = seen
        if seen == before and seen != self._loaded:
            self._reload(seen)

    def _watch(self) -> None:
        while True:
            time.sleep(CHECK_EVERY)
            self._check()

    def _reload(self, seen: Fingerprint) -> None:
        self._loaded = seen
        try:
            self.current = read_certificate(self.certificate, self.key)
        except SettingsError as error:
            in_force = rfc3339(self.current.not_after)
            self._log.error("tls.refused", reason=error.message, inForceUntil=in_force)
        else:
            self._log_current()

    def _log_current(self) -> None:
        now = self.current
        facts = {"notAfter": rfc3339(now.not_after), "fingerprint": now.fingerprint}
        self._log.info("tls.loaded", certificate=str(self.certificate), **facts)
        if now.not_after <= datetime.now(UTC):
            self._log.warning("tls.expired", certificate=str(self.certificate), **facts)

    def _fingerprint(self) -> Fingerprint:
        """Compare what the links lead to: a Secret's mount is renewed by turning one link."""
        try:
            stats = [file.stat() for file in (self.certificate, self.key)]
        except OSError:
            return ()
        return tuple((stat.st_mtime_ns, stat.st_size, stat.st_ino) for stat in stats)


def load_tls(settings: Settings, log: Log) -> Tls | None:
    """Load what the settings name; None if they name nothing.

    Raises:
        SettingsError: it cannot be served with.
    """
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    return Tls(settings.tls_certificate, settings.tls_key, log)
