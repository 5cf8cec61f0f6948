"""Whose address a request came from, when there are proxies between."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, TypeAlias

from receiver.settings.model import Network

Address: TypeAlias = IPv4Address | IPv6Address


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
        address, before = _address(remote), _address(entry)
        if address is None or before is None or not any(address in one for one in trusted):
            break
        remote = str(before)
    return str(_address(remote) or remote)


def _address(text: str) -> Address | None:
    """Read an address; some proxies add a port, and brackets to IPv6."""
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
