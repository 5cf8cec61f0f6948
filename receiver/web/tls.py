"""The certificate in use: read and tested, and again when its files change."""

from __future__ import annotations

import re
import ssl
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import TypeAlias

from receiver.core.errors import SettingsError, UnreadableFile
from receiver.core.logs import Log
from receiver.core.model import rfc3339
from receiver.core.threads import SupervisedThread
from receiver.core.user_files import read_text
from receiver.settings.model import Settings

CHECK_EVERY = 1.0
"""Seconds between two checks of the files."""

PEM = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)

NO_CHECK_TIME = 0x200000
"""OpenSSL's X509_V_FLAG_NO_CHECK_TIME (x509_vfy.h), which Python has no name for."""

FLIGHTS = 4
"""Turns of each side until a handshake has ended: three in TLS 1.3, one more reads the rest."""

SETTINGS = "tlsCertificate (POSTSYNC_TLS_CERTIFICATE), tlsKey (POSTSYNC_TLS_KEY)"


Fingerprint: TypeAlias = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate in use: the context for new connections, its end and its fingerprint.

    Attributes:
        context: offers TLS 1.2 and 1.3, with Python's choice of ciphers.
        not_after: the end of the certificate's time.
        fingerprint: SHA-256 of the certificate, in hex.
    """

    context: ssl.SSLContext
    not_after: datetime
    fingerprint: str


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
        self.current: Certificate = _read_certificate(certificate, key)
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
            self.current = _read_certificate(self.certificate, self.key)
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


def _read_certificate(certificate: Path, key: Path) -> Certificate:
    """Read a pair of PEM files; the first certificate is the server's, its chain follows.

    An expired certificate is no error here: whether to stop is the operator's choice.

    Raises:
        SettingsError: a file cannot be read or is no PEM, the key is another's or needs a
            passphrase, or no client would shake hands with such a certificate.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    leaf = _leaf(certificate)
    _check_readable(key)
    try:
        context.load_cert_chain(certificate, key, password=_no_passphrase)
        not_after = _test_handshake(context, leaf)
    except (ssl.SSLError, ValueError) as error:
        raise _refused(f"{certificate} with {key}: {_reason(error)}") from None
    fingerprint = sha256(ssl.PEM_cert_to_DER_cert(leaf)).hexdigest()
    return Certificate(context, not_after, fingerprint)


def _leaf(file: Path) -> str:
    found = PEM.search(_check_readable(file))
    if found is None:
        raise _refused(f"{file} has no certificate in PEM")
    return found[0]


def _check_readable(file: Path) -> str:
    try:
        return read_text(file)
    except UnreadableFile as error:
        raise _refused(error.message) from None


def _no_passphrase() -> str:
    raise ValueError("the key needs a passphrase, which a server has nobody to ask for")


def _test_handshake(server: ssl.SSLContext, leaf: str) -> datetime:
    """Connect to the server's context in memory, trusting this certificate alone.

    That tests what every client will check, and has OpenSSL read the dates.
    """
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.load_verify_locations(cadata=leaf)
    client.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN | NO_CHECK_TIME
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client_side = client.wrap_bio(back, there)
    for side in (client_side, server.wrap_bio(there, back, server_side=True)) * FLIGHTS:
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    leaf_fields = client_side.getpeercert() or {}
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(leaf_fields["notAfter"])), UTC)


def _reason(error: ssl.SSLError | ValueError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"no client would take this certificate: {error.verify_message}"
    if not isinstance(error, ssl.SSLError):
        return str(error)
    if error.reason == "KEY_VALUES_MISMATCH":
        return "the key is not the one of the certificate"
    return (error.reason or "no key, or no certificate, in PEM").replace("_", " ").lower()


def _refused(reason: str) -> SettingsError:
    return SettingsError(f"TLS: {reason}", hint=SETTINGS)
