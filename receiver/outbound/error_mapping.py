"""Maps errors of the HTTP libraries to `TemporaryError` and `PermanentError`, in plain words."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator, Sequence
from http.client import (
    BadStatusLine,
    HTTPException,
    IncompleteRead,
    LineTooLong,
    RemoteDisconnected,
    UnknownProtocol,
)

from urllib3.exceptions import DecodeError, InvalidChunkLength, ProxyError

from receiver.core.errors import AttemptError, PermanentError, TemporaryError
from receiver.outbound.guard import DeadlineExceeded
from receiver.outbound.secret_masking import Masker
from receiver.outbound.transport import InvalidHttp

PLAIN: tuple[tuple[type[BaseException], str], ...] = (
    (ConnectionRefusedError, "connection refused"),
    (ConnectionResetError, "connection reset"),
    (BrokenPipeError, "connection reset"),
    (socket.gaierror, "the name is not known"),
    (TimeoutError, "timed out"),
    (DeadlineExceeded, "timed out"),
)
NO_HTTP: tuple[tuple[type[BaseException], str], ...] = (
    (InvalidChunkLength, "the length of a chunk is no number"),
    (IncompleteRead, ""),
    (RemoteDisconnected, ""),
    (LineTooLong, "a line of its head is too long"),
    (UnknownProtocol, "its version of HTTP is unknown"),
    (BadStatusLine, "it does not begin with a status line"),
    (DecodeError, "its body is not compressed as its head says"),
    (HTTPException, "its head has too many lines"),
)
"""By the first kind that fits; "" for an answer that only broke off."""
BROKEN_OFF = ("closed connection", "Connection broken", "IncompleteRead", "prematurely")


def to_attempt_error(
    error: BaseException, where: str, seconds: float | None, masker: Masker
) -> AttemptError:
    """Turn what the libraries raised into an attempt's error.

    ``where`` is ``host:port``, "" if the URL was not understood; ``seconds`` the attempt's time, if
    it was over, else None.
    """
    chain = list(_chain(error))
    for one in chain:
        if isinstance(one, AttemptError):
            return type(one)(masker.mask(one.message), hint=masker.mask(one.hint))
    where = masker.mask(where)
    if seconds is not None:
        return TemporaryError(f"no answer from {where} within {seconds:.1f} s")
    if isinstance(error, ValueError):  # requests' words for URLs and headers that are none
        return PermanentError(masker.mask(str(error)))
    if any(isinstance(one, ProxyError) for one in chain):
        where += " through the proxy"
    if reason := _no_http(chain):
        return TemporaryError(f"{where}: the target's answer is no valid HTTP: {reason}")
    mapped = _unanswered(chain, where)
    return type(mapped)(masker.mask(mapped.message), hint=mapped.hint)


def _unanswered(chain: Sequence[BaseException], where: str) -> AttemptError:
    for one in chain:
        if isinstance(one, ssl.SSLCertVerificationError):
            return PermanentError(
                f"the certificate of {where} is not valid: {one.verify_message}",
                hint="set caBundle (POSTSYNC_CA_BUNDLE) if it is of an authority of your own",
            )
        if reason := _plain(one):
            return TemporaryError(f"{where}: {reason}")
    return TemporaryError(f"{where}: {type(chain[0]).__name__}")


def _no_http(chain: Sequence[BaseException]) -> str:
    """Return why an answer is no HTTP, "" if that is not the error; nothing of it is quoted."""
    if "chunk size line exceeded" in str(chain[0]):
        return "the length of a chunk is no number"
    for one in chain:
        if isinstance(one, InvalidHttp):
            return str(one)
        for kind, words in NO_HTTP:
            if isinstance(one, kind):
                return words
    return ""


def _plain(error: BaseException) -> str:
    for kind, words in PLAIN:
        if isinstance(error, kind):
            return words
    text = str(error)
    if isinstance(error, ssl.SSLError):
        why = (error.reason or "").replace("_", " ").lower()
        return "no TLS connection could be made" + (f" ({why})" if why else "")
    if text.startswith("Tunnel connection failed"):
        return text.lower()
    if any(words in text for words in BROKEN_OFF):
        return "the connection was closed before the answer's end"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
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
