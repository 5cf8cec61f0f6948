"""Problem responses of the server itself: to what is no HTTP request, and while it is full."""

from __future__ import annotations

import ssl
from http import HTTPStatus

from gunicorn.http import errors

from receiver.web.problem_details import FAULT, RETRY_AFTER, problem_text

SPOKEN = "this server speaks HTTP/1.1 and HTTP/1.0"
PLAIN = "the request does not follow RFC 9112"

KINDS: tuple[tuple[type[Exception], HTTPStatus, str, str], ...] = (
    (errors.LimitRequestLine, HTTPStatus.REQUEST_URI_TOO_LONG, "uri_too_long",
     "what is told goes into the body; the path names a channel, the query the Application"),
    (errors.LimitRequestHeaders, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_large",
     "send fewer or shorter headers; what is told goes into the body"),
    (errors.ExpectationFailed, HTTPStatus.EXPECTATION_FAILED, "expectation_failed",
     "`Expect: 100-continue` is the only expectation that is met"),
    (errors.UnsupportedTransferCoding, HTTPStatus.NOT_IMPLEMENTED, "unknown_transfer_coding",
     "send the body with a Content-Length, or with `Transfer-Encoding: chunked` alone"),
    (errors.InvalidHTTPVersion, HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "bad_version", SPOKEN),
    (errors.ForbiddenProxyRequest, HTTPStatus.FORBIDDEN, "forbidden_proxy", "see proxy_allow_ips"),
    (errors.InvalidRequestLine, HTTPStatus.BAD_REQUEST, "bad_request_line", PLAIN),
    (errors.InvalidRequestMethod, HTTPStatus.BAD_REQUEST, "bad_method", PLAIN),
    (errors.InvalidHeaderName, HTTPStatus.BAD_REQUEST, "bad_header", PLAIN),
    (errors.InvalidHeader, HTTPStatus.BAD_REQUEST, "bad_header", PLAIN),
    (errors.ObsoleteFolding, HTTPStatus.BAD_REQUEST, "bad_header", "write a header in one line"),
    (errors.ParseException, HTTPStatus.BAD_REQUEST, "unreadable", PLAIN),
)  # fmt: skip
"""Errors of gunicorn's parser, the special ones first."""

LONGEST = 200
"""Characters of what was sent that are shown to its sender."""


def error_response(error: BaseException) -> bytes:
    """Return the whole answer to a request that could not be read, or that the app broke off.

    Empty for a TLS that came to nothing: its peer could not read one.
    """
    if isinstance(error, ssl.SSLError):
        return NOT_TLS if error.reason == "HTTP_REQUEST" else b""
    for kind, status, reason, hint in KINDS:
        if isinstance(error, kind):
            return _response(status, reason, str(error)[:LONGEST], hint)
    return _response(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", FAULT)


def _response(
    status: HTTPStatus, reason: str, detail: str, hint: str = "", more: str = ""
) -> bytes:
    text = problem_text(status, reason, detail, hint=hint).encode("utf-8", "replace")
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nServer: gunicorn\r\nConnection: close\r\n"
        f"Content-Type: application/problem+json\r\nContent-Length: {len(text)}\r\n{more}\r\n"
    )
    return head.encode() + text


NOT_TLS = _response(
    HTTPStatus.BAD_REQUEST, "not_tls", "this port speaks HTTPS", "begin the URL with https://"
)
"""The answer to plain HTTP on a port with TLS, which went without one otherwise."""

BUSY = _response(
    HTTPStatus.SERVICE_UNAVAILABLE, "busy",
    "more requests are waiting than this server holds at one time", "try again",
    f"Retry-After: {RETRY_AFTER}\r\n",
)  # fmt: skip
"""The answer to a request for which there is no room now."""
