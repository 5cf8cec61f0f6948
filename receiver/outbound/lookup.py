"""Finds the addresses of a host without waiting longer than the attempt lasts."""

from __future__ import annotations

import socket
import threading
from queue import Empty, SimpleQueue
from typing import Any, TypeAlias

Found: TypeAlias = list[tuple[Any, Any, int, str, tuple[Any, ...]]]


def look_up(host: str, port: int, patience: float) -> Found:
    """Return what `socket.getaddrinfo` finds.

    The system's resolver cannot be interrupted and may take minutes where its servers are
    silent, so it is asked in a thread of its own that is left behind when it is late.

    Args:
        host: a name or an address; an address needs no resolver and no thread.
        port: TCP port.
        patience: seconds.

    Raises:
        TimeoutError: nothing was found in time.
        OSError: the name is not known.
        UnicodeError: it can be no host's name.
    """
    try:
        return socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM, 0, socket.AI_NUMERICHOST)
    except socket.gaierror:
        pass
    box: SimpleQueue[Found | Exception] = SimpleQueue()
    threading.Thread(target=_ask, args=(host, port, box), name="lookup", daemon=True).start()
    try:
        found = box.get(timeout=patience)
    except Empty:
        raise TimeoutError from None
    if isinstance(found, Exception):
        raise found
    return found


def _ask(host: str, port: int, box: SimpleQueue[Found | Exception]) -> None:
    try:
        box.put(socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM))
    except (OSError, UnicodeError) as error:
        box.put(error)
