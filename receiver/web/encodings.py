"""Decodes a body's Content-Encoding, up to a limit."""

from __future__ import annotations

import zlib
from http import HTTPStatus

from receiver.web.problem_details import Refusal

DECODED = frozenset({"gzip", "x-gzip", "deflate"})
"""Encodings that are decoded; ``identity`` means none (RFC 9110, 8.4.1)."""

ANY_HEADER = 32 + zlib.MAX_WBITS
"""Let zlib tell a gzip header from its own."""


def decode(body: bytes, header: str, limit: int) -> bytes | None:
    """Return the body as it was before the encodings that a header names.

    Args:
        body: as it arrived.
        header: the value of Content-Encoding, "" if there is none.
        limit: bytes that it may have after each decoding.

    Returns:
        None if it is longer than that.

    Raises:
        Refusal: 415 for an encoding that we do not know, 400 for a body that is not of it.
    """
    words = [word.strip().lower() for word in header.split(",")]
    for word in reversed([word for word in words if word not in ("", "identity")]):
        if word not in DECODED:
            raise _unknown(word)
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
    raise _broken()


def _unknown(word: str) -> Refusal:
    return Refusal(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "unsupported_encoding",
        f"the body's Content-Encoding {word[:40]!r} is none that is understood",
        hint="send it as it is, or with Content-Encoding: gzip or deflate",
    )


def _broken() -> Refusal:
    return Refusal(
        HTTPStatus.BAD_REQUEST,
        "bad_encoding",
        "the body is not of the Content-Encoding that is announced",
        hint="without the header the body is taken as it is",
    )
