"""`postsync` on the PATH of a script, without the second of imports that each command takes."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from forked import Forked, begin_postsync

CLIENT = """#!{python} -IS
import json, os, signal, socket, sys
with socket.socket(socket.AF_UNIX) as door:
    door.connect({door!r})
    asked = {{"arguments": sys.argv[1:], "cwd": os.getcwd(), "environ": dict(os.environ)}}
    socket.send_fds(door, [json.dumps(asked).encode()], [0, 1, 2])
    door.shutdown(socket.SHUT_WR)
    with door.makefile() as told:
        pid = int(told.readline())
        signal.signal(signal.SIGTERM, lambda *_: os.kill(pid, signal.SIGTERM))
        sys.exit(int(told.readline()))
"""


@contextmanager
def forking_postsync(folder: Path) -> Iterator[Path]:
    """Make a folder whose program `postsync` is forked here; it ends with the block."""
    (folder / "bin").mkdir()
    door = folder / "door"
    program = folder / "bin/postsync"
    program.write_text(CLIENT.format(python=sys.executable, door=str(door)))
    program.chmod(0o755)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(door))
        listening.listen()
        thread = threading.Thread(target=_serve, args=(listening,))
        thread.start()
        try:
            yield folder / "bin"
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


def _serve(listening: socket.socket) -> None:
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:  # it was shut
            return
        _start(connection)


def _start(connection: socket.socket) -> None:
    data, streams, _, _ = socket.recv_fds(connection, 1 << 20, 3)
    while piece := connection.recv(1 << 20):
        data += piece
    asked = json.loads(data)
    process = Forked(
        begin_postsync, *asked["arguments"], cwd=Path(asked["cwd"]), environ=asked["environ"],
        streams=(streams[0], streams[1], streams[2]),
    )  # fmt: skip
    for stream in streams:
        os.close(stream)
    threading.Thread(target=_tell, args=(connection, process)).start()


def _tell(connection: socket.socket, process: Forked) -> None:
    with connection:
        connection.sendall(f"{process.pid}\n".encode())
        code = process.wait(120)
        connection.sendall(f"{code if code >= 0 else 128 - code}\n".encode())
