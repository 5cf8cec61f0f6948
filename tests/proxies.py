"""An HTTP proxy on loopback that opens tunnels, as companies have them."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Tunnels:
    """The proxy, and the heads of the CONNECT requests that it was sent."""

    url: str
    heads: list[str] = field(default_factory=list)


@contextmanager
def tunnels(target: int) -> Iterator[Tunnels]:
    """Lead every CONNECT to this port of loopback, whatever host it names."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)
        proxy = Tunnels(f"http://127.0.0.1:{listener.getsockname()[1]}")

        def accept() -> None:
            while not over.is_set():
                with suppress(TimeoutError):
                    connection, _ = listener.accept()
                    args = (connection, target, proxy, over)
                    threading.Thread(target=_tunnel, args=args, daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            over.set()
            thread.join(5)


def _tunnel(connection: socket.socket, target: int, proxy: Tunnels, over: threading.Event) -> None:
    with suppress(OSError), connection:
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(65536)
        proxy.heads.append(head.decode())
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with socket.create_connection(("127.0.0.1", target)) as there:
            other = {connection: there, there: connection}
            while not over.is_set():
                for ready in select.select(list(other), [], [], 0.05)[0]:
                    if not (data := ready.recv(65536)):
                        return
                    other[ready].sendall(data)
