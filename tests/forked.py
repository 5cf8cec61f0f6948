"""`postsync serve` and `work` without the second of imports: forked from who has them already.

From `main` on it is what a user starts, a process and a session of its own with its own folder and
environment. Its start from nothing is tested wherever a test runs `POSTSYNC`.
"""

from __future__ import annotations

import multiprocessing
import os
import pkgutil
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Protocol
from unittest.mock import patch

import handlers
from receiver.cli import main

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    [
        *("receiver.cli.serve", "receiver.cli.work"),
        *(module.name for module in pkgutil.iter_modules(handlers.__path__, "handlers.")),
    ]
)


AT_START = ("LD_PRELOAD", "PYTHONPATH")
"""Variables that mean something to a process from its first moment on."""


class Process(Protocol):
    """What a test does with a process, as `subprocess.Popen` has it."""

    pid: int

    @property
    def returncode(self) -> int | None: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float, /) -> int: ...


def start(command: str, *, cwd: Path, environ: Mapping[str, str], log: Path) -> Process:
    """Run a command in a session of its own; what it prints goes to the end of a file."""
    if not environ.keys() & set(AT_START):
        return _Forked(command, cwd, environ, log)
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "receiver.cli", command], cwd=cwd, env=environ, stdout=output,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip


class _Forked:
    def __init__(self, command: str, cwd: Path, environ: Mapping[str, str], log: Path) -> None:
        self._command = command
        given = (command, str(cwd), dict(environ), str(log))
        self._process = CONTEXT.Process(target=_become, args=given)
        # Else it would import what runs these tests.
        with patch.dict(sys.modules, {"__main__": ModuleType("__main__")}):
            self._process.start()
        assert self._process.pid
        self.pid = self._process.pid
        with suppress(ProcessLookupError):  # it has ended
            while os.getpgid(self.pid) != self.pid:
                time.sleep(0.001)

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float, /) -> int:
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(self._command, timeout)
        return self.returncode


def _become(command: str, cwd: str, environ: dict[str, str], log: str) -> None:
    os.setsid()
    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    for stream in (1, 2):
        os.dup2(output, stream)
    os.close(output)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environ)
    sys.argv = ["postsync", command]
    main()
