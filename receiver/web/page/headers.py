"""What a browser is told about every answer of the page (OWASP, HTTP Headers Cheat Sheet)."""

from __future__ import annotations

from flask import Response, request

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
"""Nothing inline and nothing from elsewhere: markup that slipped in would do nothing."""

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def is_secure() -> bool:
    """Whether the browser speaks TLS, to us or, as is said, to a proxy of those before us.

    Who makes that up gets a cookie that is kept better than need be.
    """
    told = request.headers.get("X-Forwarded-Proto", "").split(",")
    return "https" in {request.scheme, *(one.strip().lower() for one in told)}


def add_headers(response: Response) -> Response:
    """Add them; what shows data is not to be kept."""
    for name, value in HEADERS.items():
        response.headers[name] = value
    response.headers.setdefault("Cache-Control", "no-store")
    return response
