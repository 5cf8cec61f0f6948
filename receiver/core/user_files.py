"""Reads the files that users name: regular ones only, up to a size.

Reading a pipe or a device may never end.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from receiver.core.errors import UnreadableFile

LARGEST = 8 << 20
"""Bytes of one file: as much as of a notification; a ConfigMap holds at most one MiB."""

READ = os.O_RDONLY
for _flag in ("O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):
    READ |= getattr(os, _flag, 0)  # Windows has the last one alone, and Unix the others


def read_bytes(file: Path, largest: int = LARGEST) -> bytes:
    """Return what is in a regular file.

    Raises:
        UnreadableFile: there is none, it may not be read, it is something else than a file, or it
            has more than ``largest`` bytes.
    """
    try:
        number = os.open(file, READ)
        with os.fdopen(number, "rb") as opened:
            if not stat.S_ISREG(os.fstat(number).st_mode):
                raise UnreadableFile(file, "is no regular file")
            return read_stream(file, opened, largest)
    except OSError as error:
        reason = "does not exist" if isinstance(error, FileNotFoundError) else error.strerror
        raise UnreadableFile(file, f"cannot be read: {reason}") from None
    except ValueError:
        raise UnreadableFile(file, "cannot be read: no path has a NUL in it") from None


def read_stream(name: Path, stream: BinaryIO, largest: int = LARGEST) -> bytes:
    """Return what a stream has until its end, at most ``largest`` bytes.

    Raises:
        UnreadableFile: it has more.
    """
    body = stream.read(largest + 1)
    if len(body) > largest:
        raise UnreadableFile(name, f"is larger than {format_size(largest)}")
    return body


def read_text(file: Path, largest: int = LARGEST) -> str:
    """Return the UTF-8 text in a regular file, without a byte order mark.

    Raises:
        UnreadableFile: as `read_bytes`; or it is no UTF-8, and then it says where.
    """
    body = read_bytes(file, largest)
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
        column = error.start - body.rfind(b"\n", 0, error.start)
        raise UnreadableFile(file, "is not UTF-8", line, column) from None


def format_size(size: int) -> str:
    """Return a number of bytes as text: ``8 MiB``."""
    return f"{size >> 20} MiB" if size >= 1 << 20 else f"{size >> 10} KiB"
