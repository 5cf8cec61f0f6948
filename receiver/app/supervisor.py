"""Starts the processes of one host by forking, and ends all of them when one ends.

They end one after the other, the last one first: so the intake, which is the first, still takes
notifications while the dispatcher gives the attempts under way their time. Each keeps to a core
of its own. They are forked after the imports: so they start at once and share that memory.
"""

from __future__ import annotations

import ctypes
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import cycle
from mmap import mmap
from struct import Struct

PR_SET_PDEATHSIG = 1
"""Linux, prctl(2): the signal that a child gets when its parent dies."""
M_MMAP_THRESHOLD = -3
"""GNU, mallopt(3): blocks of so many bytes are mapped one by one, and unmapped when freed."""
LARGE_BLOCK = 1 << 20
PID = Struct("q")
STOPS = frozenset({signal.SIGTERM, signal.SIGINT})
SIGNALS = STOPS | {signal.SIGCHLD, signal.SIGHUP}

Body = Callable[[], None]


class Supervisor:
    """Runs each body in a process of its own.

    If one exits, the others get SIGTERM, each when the one after it has ended, and ``grace``
    seconds later SIGKILL. SIGTERM and SIGINT to the supervisor stop all; SIGHUP is passed on. A
    killed supervisor takes its children along.
    """

    def __init__(self, bodies: Mapping[str, Body], *, grace: float) -> None:
        self._bodies = bodies
        self._grace = grace
        self._children: dict[int, str] = {}
        self._pids = mmap(-1, PID.size * len(bodies))  # shared with all children
        self._stopping = False
        self._ending: int | None = None
        self._deadline: float | None = None
        self._failed = False

    def run(self, started: Callable[[], None]) -> int:
        """Fork, call ``started``, and wait; return the exit code of the whole.

        0 after a wanted stop in which every child ended well, else 1.
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        cores = cycle_cores()
        for place, (name, body) in enumerate(self._bodies.items()):
            pid = _fork(body, next(cores))
            PID.pack_into(self._pids, place * PID.size, pid)
            self._children[pid] = name
        started()
        while self._children:
            self._handle(self._next_signal())
            self._reap()
        return int(self._failed)

    def pid_of(self, name: str) -> int:
        """Return the pid of a body's process, 0 before it is started; also in another's process."""
        place = list(self._bodies).index(name)
        return int(PID.unpack_from(self._pids, place * PID.size)[0])

    def _next_signal(self) -> int | None:
        if self._deadline is None:
            return signal.sigwaitinfo(SIGNALS).si_signo
        left = max(0.0, self._deadline - time.monotonic())
        info = signal.sigtimedwait(SIGNALS, left)
        return info.si_signo if info else None

    def _handle(self, number: int | None) -> None:
        if number in STOPS:
            self._stopping = True
            self._end_next()
        elif number == signal.SIGHUP:
            for pid in self._children:
                os.kill(pid, signal.SIGHUP)
        elif number is None and self._ending is not None:
            self._failed = True
            self._print(f"had to kill {self._children[self._ending]}")
            os.kill(self._ending, signal.SIGKILL)
            self._deadline = None

    def _reap(self) -> None:
        for pid in list(self._children):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if not ended:
                continue
            name, code = self._children.pop(pid), os.waitstatus_to_exitcode(status)
            if code or not self._stopping:
                self._failed = True
                self._print(f"the {name} process ended ({_format_exit(code)})")
            self._ending = None if self._ending == pid else self._ending
            self._end_next()

    def _end_next(self) -> None:
        """Stop the child that was started last, unless one is being stopped."""
        if self._ending is None and self._children:
            self._ending = next(reversed(self._children))
            self._deadline = time.monotonic() + self._grace
            os.kill(self._ending, signal.SIGTERM)

    def _print(self, text: str) -> None:
        with suppress(OSError, ValueError, AttributeError):  # nobody reads it
            sys.stderr.write(f"postsync: {text}\n")


def _fork(body: Body, core: int) -> int:
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        pin_to_core(core)
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        return_large_blocks()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C reaches all of us
        # Until the body handles it: nothing has begun that a stop would have to end.
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        if os.getppid() == parent:  # it may have died before prctl
            body()
            code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:  # noqa: BLE001 nothing may run on into the parent's code
        with suppress(Exception):  # nobody reads it
            traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):  # likewise
                stream.flush()
        os._exit(code)


def _format_exit(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def cycle_cores() -> Iterator[int]:
    """Return the cores that we may use, in turn and without an end, from a random one on.

    Each process gets a core of its own. Python runs one thread of a process at a time (the GIL).
    Spread over two cores, threads that wait for one another wake each other across them at every
    call into the system: the intake took 50 context switches a notification, kept to one core it
    takes 8, and answers 1.8 times as many (bench/README.md). The scheduler moves what is not bound
    to a core away from a busy one. The first is random, because several instances on one machine
    do not know of each other.
    """
    cores = sorted(os.sched_getaffinity(0))
    at = random.randrange(len(cores))  # noqa: S311 it guards no secret
    return cycle(cores[at:] + cores[:at])


def return_large_blocks() -> None:
    """Have large blocks of memory returned to the system when they are freed, if that can be asked.

    By itself the C library raises its threshold to the largest block that was freed, and keeps the
    place of the next ones, in an arena for every few threads: seven notifications of 8 MiB, one
    after another, took the intake to 340 MB, and to 223 where the threshold stays
    (bench/worst.py).
    """
    with suppress(AttributeError):  # another C library than GNU's
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK)


def pin_to_core(core: int) -> None:
    """Bind this process and all that it starts from now on to a core, where that is allowed."""
    with suppress(OSError):
        os.sched_setaffinity(0, {core})
