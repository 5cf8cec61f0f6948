"""Runs commands in a Python that lacks what only Unix or Linux has; prints what came of each.

Started as a program, with a JSON list of commands as its argument. What a system lacks is taken
away before anything of ours, or of a library, is imported.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec

MODULES = {
    "crypt", "fcntl", "grp", "nis", "ossaudiodev", "pty", "pwd", "resource", "spwd", "syslog",
    "termios", "tty",
}  # fmt: skip
"""The standard library's "Availability: Unix"."""

NAMES = {
    os: (
        "O_CLOEXEC", "O_NONBLOCK", "environb", "fchmod", "fork", "getgid", "getpgid", "getuid",
        "geteuid", "killpg", "mkfifo", "pread", "register_at_fork", "sched_getaffinity",
        "sched_setaffinity", "setsid", "statvfs", "uname",
    ),
    signal: (
        "SIGALRM", "SIGCHLD", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGQUIT", "SIGUSR1", "SIGUSR2",
        "alarm", "pthread_sigmask", "setitimer", "sigtimedwait", "sigwait",
    ),
    socket: ("AF_UNIX", "SO_REUSEPORT"),
}  # fmt: skip


class Hidden:
    """Finds none of these modules."""

    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        if name in MODULES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None


def hide() -> None:
    sys.meta_path.insert(0, Hidden())
    for name in MODULES:
        sys.modules.pop(name, None)
    for module, names in NAMES.items():
        for name in names:
            delattr(module, name)


def run(commands: Sequence[Sequence[str]]) -> list[tuple[int, str, str]]:
    """Run each; return its exit code, its output, and the error of ours that it ended with."""
    from click.testing import CliRunner

    from receiver.cli import cli
    from receiver.core.errors import PostsyncError

    told = []
    for words in commands:
        result = CliRunner().invoke(cli, words)
        if result.exception and not isinstance(result.exception, PostsyncError | SystemExit):
            raise result.exception
        told.append((result.exit_code, result.stdout, str(result.exception or "")))
    return told


if __name__ == "__main__":
    hide()
    print(json.dumps(run(json.loads(sys.argv[1]))))  # noqa: T201 for the test that started it
