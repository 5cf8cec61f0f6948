"""Looks up the addresses of a host, with a timeout."""

from __future__ import annotations

import socket
from functools import partial
from typing import Any, TypeAlias

from receiver.core.threads import call_with_timeout

Found: TypeAlias = list[tuple[Any, Any, int, str, tuple[Any, ...]]]


def look_up(host: str, port: int, timeout: float) -> Found:
    """Return what `socket.getaddrinfo` finds.

    The system's resolver cannot be interrupted and may take minutes where its servers are
    silent, so it is called in a thread of its own that is abandoned when it is late.

    Args:
        host: a name or an address; an address needs no resolver and no thread.
        port: TCP port.
        timeout: seconds.

    Raises:
        TimeoutError: nothing was found in time.
        OSError: the name is not known.
        UnicodeError: it can be no host's name.
    """
    try:
        return socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM, 0, socket.AI_NUMERICHOST)
    except socket.gaierror:
        pass
    call = partial(socket.getaddrinfo, host, port, 0, socket.SOCK_STREAM)
    return call_with_timeout("lookup", call, timeout)
