"""Logs requests without a known token, at a rate that a flood cannot raise."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from http import HTTPStatus
from ipaddress import IPv4Address, IPv6Address, ip_address
from threading import Lock
from typing import Any

from flask import Flask, Response, request

from receiver.core.logs import Log
from receiver.settings.model import Network
from receiver.web.worker import ON_UNREADABLE

REJECTED = {
    HTTPStatus.UNAUTHORIZED.value: "request.unauthenticated",
    HTTPStatus.FORBIDDEN.value: "request.forbidden",
}
"""Events of the log by the status of a request without the right to ask."""

WINDOW = 60.0
"""Seconds in which an address has one line for each event."""

MOST = 10
"""Lines in that time: enough to see who it is, too few to fill a disk."""


class RejectedRequestLog:
    """Writes the lines; ``notLogged`` says how many were left out since the last one."""

    def __init__(self, log: Log, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._monotonic = monotonic
        self._lock = Lock()
        self._until = 0.0
        self._logged: set[tuple[str, str]] = set()
        self._left_out = 0

    def write(self, event: str, remote: str, **keys: str) -> None:
        """Write a line about an address, or count it."""
        with self._lock:
            if self._monotonic() >= self._until:
                self._until = self._monotonic() + WINDOW
                self._logged.clear()
            if (event, remote) in self._logged or len(self._logged) >= MOST:
                self._left_out += 1
                return
            self._logged.add((event, remote))
            left_out, self._left_out = self._left_out, 0
        more = {"notLogged": left_out} if left_out else {}
        self._log.warning(event, remote=remote, **keys, **more)


def log_rejected_requests(app: Flask, log: Log, trusted: Sequence[Network]) -> None:
    """Log requests of the app that are refused for their token, or that cannot be parsed."""
    rejected = RejectedRequestLog(log)

    def unreadable(remote: str, reason: str) -> None:
        rejected.write("request.unreadable", remote, reason=reason[:200])

    def answered(response: Response) -> Response:
        if event := REJECTED.get(response.status_code):
            remote = remote_address(request.environ, trusted)
            rejected.write(event, remote, method=request.method, path=request.path[:200])
        return response

    app.extensions[ON_UNREADABLE] = unreadable
    app.after_request(answered)


def remote_address(environ: dict[str, Any], trusted: Sequence[Network]) -> str:
    """Return the address that the request came from; only trusted proxies are believed.

    Each proxy appends to X-Forwarded-For whom it was asked by. Read from the right, every entry
    is as good as the one before it: the first that is of no trusted network is the sender, and
    what stands left of it the sender may have made up. (werkzeug's ProxyFix counts hops instead:
    whoever reaches the server past the proxy could name any address.)

    X-Forwarded-For alone counts. A proxy that writes this header passes `Forwarded` on as its
    sender wrote it. Scheme and host are not asked for by anything here.

    Args:
        environ: the WSGI environment.
        trusted: networks of proxies.
    """
    remote = str(environ.get("REMOTE_ADDR") or "")
    for entry in reversed(environ.get("HTTP_X_FORWARDED_FOR", "").split(",")):
        address, before = read_address(remote), read_address(entry)
        if address is None or before is None or not any(address in one for one in trusted):
            break
        remote = str(before)
    return str(read_address(remote) or remote)


def read_address(text: str) -> IPv4Address | IPv6Address | None:
    """Read an address, None if it is none; some proxies add a port, and brackets to IPv6."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text)
    except ValueError:
        return None
    # On a socket for both, an IPv4 peer is ::ffff:10.1.2.3.
    return getattr(found, "ipv4_mapped", None) or found
