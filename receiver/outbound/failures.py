"""Says in plain words why nothing was answered, and whether another try may help."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

import requests

from receiver.errors import AttemptError, PermanentError, TemporaryError
from receiver.masking import Masker
from receiver.outbound.transport import Late


def as_attempt_error(
    error: BaseException, where: str, seconds: float | None, masker: Masker
) -> AttemptError:
    """Turn what the libraries raised into an attempt's error.

    Args:
        error: whatever was raised.
        where: ``host:port``.
        seconds: the attempt's time, if it was over; None if it was not.
        masker: knows the attempt's secrets.
    """
    for one in _chain(error):
        if isinstance(one, AttemptError):
            return type(one)(masker.mask(one.message))
    if seconds is not None:
        return TemporaryError(f"no answer from {where} within {seconds:.3g} s")
    for one in _chain(error):
        if isinstance(one, ssl.SSLCertVerificationError):
            return PermanentError(
                f"the certificate of {where} is not valid: {one.verify_message}",
                hint="set caBundle (POSTSYNC_CA_BUNDLE) if it is of an authority of your own",
            )
        if reason := _plain(one):
            return TemporaryError(f"{where}: {reason}")
    if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.InvalidHeader):
        return PermanentError(masker.mask(f"{where}: {error}"))
    return TemporaryError(masker.mask(f"{where}: {type(error).__name__}"))


PLAIN: tuple[tuple[type[BaseException], str], ...] = (
    (ConnectionRefusedError, "connection refused"),
    (ConnectionResetError, "connection reset"),
    (BrokenPipeError, "connection reset"),
    (socket.gaierror, "the name is not known"),
    (TimeoutError, "timed out"),
    (Late, "timed out"),
    (ssl.SSLError, "no TLS connection could be made"),
)


def _plain(error: BaseException) -> str:
    for kind, words in PLAIN:
        if isinstance(error, kind):
            return words
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    if "closed connection" in str(error) or "Connection broken" in str(error):
        return "the connection was closed before the answer's end"
    return ""


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, what it wraps, and what it was raised from, innermost last."""
    seen: set[int] = set()
    todo: list[BaseException] = [error]
    while todo:
        one = todo.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        inside = (*one.args, one.__cause__, one.__context__, getattr(one, "reason", None))
        todo += [item for item in inside if isinstance(item, BaseException)]
