"""Programs of ours without the second of imports: forked from who has them already.

From `main` on it is what a user starts, a process and a session of its own with its own folder,
environment and streams. Its start from nothing is tested wherever a test runs `POSTSYNC`.
"""

from __future__ import annotations

import multiprocessing
import os
import pkgutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from multiprocessing.reduction import DupFd
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, TypeAlias
from unittest.mock import patch

import handlers
from receiver.cli import main

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    [
        *("receiver.cli.serve", "receiver.cli.work"),
        # What they import when they need it.
        *("receiver.ledger.engine.postgres", "alembic.command", "gunicorn.glogging"),
        "mako.ext.pygmentplugin",  # by Alembic's templates
        *(module.name for module in pkgutil.iter_modules(handlers.__path__, "handlers.")),
    ]
)

Streams: TypeAlias = tuple[int, int, int]
"""File descriptors for stdin, stdout and stderr; they stay open here."""


class Process(Protocol):
    """What a test does with a process, as `subprocess.Popen` has it."""

    pid: int

    @property
    def returncode(self) -> int | None: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float, /) -> int: ...


def start(command: str, *, cwd: Path, environ: Mapping[str, str], log: Path) -> Process:
    """Run a command; what it prints goes to the end of a file."""
    with log.open("ab") as output, Path(os.devnull).open("rb") as nothing:
        if "LD_PRELOAD" not in environ:
            streams = (nothing.fileno(), output.fileno(), output.fileno())
            return Forked(begin_postsync, command, cwd=cwd, environ=environ, streams=streams)
        return subprocess.Popen(
            [sys.executable, "-m", "receiver.cli", command], cwd=cwd, env=environ, stdout=output,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip


def postsync(
    *arguments: str | Path, cwd: Path, environ: Mapping[str, str], seconds: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, as `subprocess.run` would."""
    return run(begin_postsync, *map(str, arguments), cwd=cwd, environ=environ, seconds=seconds)


def run(
    begin: Callable[..., object],
    *arguments: str,
    cwd: Path,
    environ: Mapping[str, str],
    seconds: float = 120,
) -> subprocess.CompletedProcess[str]:
    """Run a function to its end, in a process of its own."""
    with (
        Path(os.devnull).open("rb") as nothing,
        tempfile.TemporaryFile("w+") as out,
        tempfile.TemporaryFile("w+") as err,
    ):
        streams = (nothing.fileno(), out.fileno(), err.fileno())
        process = Forked(begin, *arguments, cwd=cwd, environ=environ, streams=streams)
        try:
            code = process.wait(seconds)
        finally:
            process.kill()
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(arguments, code, out.read(), err.read())


class Forked:
    """A process that begins with a function, in a session of its own.

    Args:
        begin: the function.
        arguments: what it is called with.
        cwd: its folder.
        environ: its whole environment; what is on its PYTHONPATH comes first when it imports.
        streams: its standard streams.
    """

    def __init__(
        self, begin: Callable[..., object], *arguments: str, cwd: Path,
        environ: Mapping[str, str], streams: Streams,
    ) -> None:  # fmt: skip
        self._command = " ".join(arguments)
        given = (begin, arguments, str(cwd), dict(environ), _Passed(streams))
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

    def terminate(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        self._process.kill()


class _Passed:
    """File descriptors that arrive in the new process, under the numbers that they have there."""

    def __init__(self, numbers: Streams) -> None:
        self._numbers = numbers

    def __reduce__(self) -> Any:
        return _received, tuple(DupFd(number) for number in self._numbers)


def _received(*passed: Any) -> tuple[int, ...]:
    return tuple(one.detach() for one in passed)


def _become(
    begin: Callable[..., object], arguments: tuple[str, ...], cwd: str, environ: dict[str, str],
    streams: tuple[int, ...],
) -> None:  # fmt: skip
    os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 multiprocessing reads from /dev/null
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environ)
    sys.path[:0] = filter(None, environ.get("PYTHONPATH", "").split(os.pathsep))
    begin(*arguments)


def begin_postsync(*arguments: str) -> None:
    sys.argv = ["postsync", *arguments]
    main()
