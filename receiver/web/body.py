"""Reads a request's body once, up to a limit, and decodes it."""

from __future__ import annotations

import zlib
from http import HTTPStatus
from typing import Any

from gunicorn.http.errors import ParseException

from receiver.web.problem_details import Refusal

DECODED = frozenset({"gzip", "x-gzip", "deflate"})
"""Encodings that are decoded; ``identity`` means none (RFC 9110, 8.4.1)."""

ANY_HEADER = 32 + zlib.MAX_WBITS
"""Let zlib tell a gzip header from its own."""

NOTIFICATION = (
    "name only the fields needed in the template, as `postsync argocd-config` does; "
    "or raise maxBody (POSTSYNC_MAX_BODY)"
)
"""The way out for a notification that is too large."""


def read_body(
    environ: dict[str, Any], limit: int, *, what: str = "notification", smaller: str = NOTIFICATION
) -> bytes:
    """Read the whole body, as it was before any Content-Encoding.

    Args:
        environ: the WSGI environment; read from directly, since Flask's stream would be
            wrapped twice for the same bound.
        limit: bytes that a body may have, encoded and decoded.
        what: the word for what is sent, for the message of a refusal.
        smaller: the hint of how it gets smaller.

    Raises:
        Refusal: 413 for more bytes, counted also where no length was announced; 408 when
            the sender stopped before the end, or was cut off for being slow; 400 when chunks
            are announced and none can be read, or the body is not of its Content-Encoding; 415
            for an unknown one.
    """
    length = _announced(environ)
    if length is not None and length > limit:
        raise _too_large(limit, what, smaller)
    try:
        body: bytes = environ["wsgi.input"].read(limit + 1 if length is None else length)
    except OSError:  # a chunked body that ends before its last chunk
        raise _incomplete() from None
    except ParseException:
        raise Refusal(
            "bad_chunks", "the body does not come in the announced chunks",
            hint="RFC 9112, section 7.1, has their form; a Content-Length is simpler",
        ) from None  # fmt: skip
    if len(body) > limit:
        raise _too_large(limit, what, smaller)
    if length is not None and len(body) < length:
        raise _incomplete()
    decoded = _decode(body, environ.get("HTTP_CONTENT_ENCODING", ""), limit)
    if decoded is None:
        raise _too_large(limit, what, smaller)
    return decoded


def _announced(environ: dict[str, Any]) -> int | None:
    if environ.get("HTTP_TRANSFER_ENCODING"):
        return None
    length = environ.get("CONTENT_LENGTH") or "0"
    if not length.isdecimal():
        raise Refusal("bad_length", "the Content-Length is no number")
    return int(length)


def _too_large(limit: int, what: str, smaller: str) -> Refusal:
    return Refusal(
        "too_large", f"the {what} is larger than {limit} bytes",
        hint=smaller, status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    )  # fmt: skip


def _incomplete() -> Refusal:
    return Refusal(
        "incomplete", "the request ended before its announced end",
        hint="it must arrive whole within requestTimeout (POSTSYNC_REQUEST_TIMEOUT)",
        status=HTTPStatus.REQUEST_TIMEOUT,
    )  # fmt: skip


def _decode(body: bytes, header: str, limit: int) -> bytes | None:
    """Undo the encodings that a header names; None if the body is longer than ``limit`` bytes."""
    words = [word.strip().lower() for word in header.split(",")]
    for word in reversed([word for word in words if word not in ("", "identity")]):
        if word not in DECODED:
            raise Refusal(
                "unsupported_encoding",
                f"the body's Content-Encoding {word[:40]!r} is none that is understood",
                hint="send it as it is, or with Content-Encoding: gzip or deflate",
                status=HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            )
        found = _inflate(body, limit) if body else b""
        if found is None:
            return None
        body = found
    return body


def _inflate(body: bytes, limit: int) -> bytes | None:
    """Decompress, at most ``limit`` bytes and one more."""
    for header in (ANY_HEADER, -zlib.MAX_WBITS):  # some send `deflate` without its header
        inflate = zlib.decompressobj(header)
        try:
            found = inflate.decompress(body, limit + 1)
        except zlib.error:
            continue
        if len(found) > limit:
            return None
        if inflate.eof and not inflate.unused_data:
            return found
    raise Refusal(
        "bad_encoding", "the body is not of the Content-Encoding that is announced",
        hint="without the header the body is taken as it is",
    )  # fmt: skip
