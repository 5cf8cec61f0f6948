"""Reads a request's body once, up to a limit, and decodes it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from gunicorn.http.errors import ParseException

from receiver.web.encodings import decode
from receiver.web.problem_details import Refusal

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
            are announced and none can be read; 415 for an unknown Content-Encoding.
    """
    length = announced(environ)
    if length is not None and length > limit:
        raise _too_large(limit, what, smaller)
    try:
        body: bytes = environ["wsgi.input"].read(limit + 1 if length is None else length)
    except OSError:  # a chunked body that ends before its last chunk
        raise _incomplete() from None
    except ParseException:
        raise Refusal(
            HTTPStatus.BAD_REQUEST,
            "bad_chunks",
            "the body does not come in the announced chunks",
            hint="RFC 9112, section 7.1, has their form; a Content-Length is simpler",
        ) from None
    if len(body) > limit:
        raise _too_large(limit, what, smaller)
    if length is not None and len(body) < length:
        raise _incomplete()
    decoded = decode(body, environ.get("HTTP_CONTENT_ENCODING", ""), limit)
    if decoded is None:
        raise _too_large(limit, what, smaller)
    return decoded


def announced(environ: dict[str, Any]) -> int | None:
    """Return the body's announced length, None if it comes in chunks."""
    if environ.get("HTTP_TRANSFER_ENCODING"):
        return None
    length = environ.get("CONTENT_LENGTH") or "0"
    if not length.isdecimal():
        raise Refusal(HTTPStatus.BAD_REQUEST, "bad_length", "the Content-Length is no number")
    return int(length)


def _too_large(limit: int, what: str, smaller: str) -> Refusal:
    return Refusal(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "too_large",
        f"the {what} is larger than {limit} bytes",
        hint=smaller,
    )


def _incomplete() -> Refusal:
    return Refusal(
        HTTPStatus.REQUEST_TIMEOUT,
        "incomplete",
        "the request ended before its announced end",
        hint="it must arrive whole within requestTimeout (POSTSYNC_REQUEST_TIMEOUT)",
    )
