"""The folder of a SQLite ledger: creates it, refuses network file systems, locks the instance."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO

from receiver.core.errors import LedgerError, LedgerInUse

NETWORK_FILE_SYSTEMS = frozenset(
    {
        *("nfs", "nfs3", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "9p", "afs", "ceph"),
        *("glusterfs", "lustre", "gpfs", "beegfs", "ncpfs", "fuse.sshfs", "fuse.glusterfs"),
        *("fuse.ceph", "fuse.s3fs", "fuse.rclone", "fuse.gcsfuse"),
    }
)
"""Where SQLite's WAL does not hold: it needs memory shared between the processes of one host
(https://www.sqlite.org/wal.html, "All processes using a database must be on the same host")."""

MOUNTINFO = Path("/proc/self/mountinfo")
"""Linux, proc(5): what is mounted where in this process's name space."""

WRITABLE = "set POSTSYNC_HOME to a folder that this user may write"


def make_folder(folder: Path) -> None:
    """Make the folder, and those above it, if it is absent.

    Raises:
        LedgerError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise LedgerError(
            f"the ledger's folder {folder} cannot be made: {error.strerror}", hint=WRITABLE
        ) from None


def lock_ledger(path: Path, mountinfo: Path = MOUNTINFO) -> IO[str]:
    """Take the instance lock. It lasts as long as a process that inherited it lives.

    Raises:
        LedgerInUse: another instance has it.
        LedgerError: the file would be on a network file system, or its folder takes no file.
    """
    make_folder(path.parent)
    kind = file_system_of(path.parent, mountinfo)
    if kind in NETWORK_FILE_SYSTEMS:
        raise LedgerError(
            f"the ledger {path} would be on a network file system ({kind}), where SQLite loses "
            "data",
            hint="set POSTSYNC_HOME to a folder on a local disk or a block volume",
        )
    place = path.with_suffix(".lock")
    try:
        lock = place.open("a+", encoding="utf-8")
    except OSError as error:
        raise LedgerError(
            f"the ledger's lock {place} cannot be opened: {error.strerror}", hint=WRITABLE
        ) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        holder = lock.read().strip() or "unknown"
        lock.close()
        raise LedgerInUse(
            f"the ledger {path} is in use by another instance (process {holder})",
            hint="stop that one first, or give this one a POSTSYNC_HOME of its own",
        ) from None
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def file_system_of(folder: Path, mountinfo: Path = MOUNTINFO) -> str:
    """Return the type of the file system that holds the folder, "" if it is not known."""
    try:
        lines = mountinfo.read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    place, best, kind = str(folder.resolve()), "", ""
    for line in lines:
        before, _, after = line.partition(" - ")
        point = before.split()[4].replace("\\040", " ")
        inside = place == point or place.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, after.split()[0]
    return kind
