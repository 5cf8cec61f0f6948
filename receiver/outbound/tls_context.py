"""The TLS context for a server with an authority of its own, and our certificate for it."""

from __future__ import annotations

import ssl
from tempfile import NamedTemporaryFile

from receiver.contract import Tls
from receiver.core.errors import PermanentError


def tls_context(tls: Tls) -> ssl.SSLContext:
    """Return a context that trusts what is given, and presents our certificate if there is one.

    Raises:
        PermanentError: what is given is no certificate or no key; the message does not quote it.
    """
    try:
        context = ssl.create_default_context(cadata=tls.authority or None)
    except (ssl.SSLError, ValueError):
        raise PermanentError("the authority to trust is no certificate in PEM") from None
    if tls.certificate:
        try:
            _load_client_certificate(context, tls)
        except (ssl.SSLError, ValueError):
            raise PermanentError("the client's certificate or key is none in PEM") from None
    return context


def _load_client_certificate(context: ssl.SSLContext, tls: Tls) -> None:
    """Load our certificate: OpenSSL reads it from a file only, which nobody else can read."""
    with NamedTemporaryFile() as file:
        file.write(f"{tls.certificate}\n{tls.key}\n".encode())
        file.flush()
        context.load_cert_chain(file.name, password="")
