"""Starts and stops what is measured, and tells what the machine is and what it spends.

Needs Debian's packages `webhook`, `wrk` and `nginx-light`, and `make test` run once.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

ROOT = Path(__file__).parents[1]
TOKEN = "bench-token-0123456789abcdef"


def in_turns(subjects: Mapping[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """Run each once a round, so that what else the machine does falls on all of them."""
    seen: dict[str, list[T]] = {name: [] for name in subjects}
    for number in range(rounds):
        for name, run in subjects.items():
            sys.stderr.write(f"round {number + 1} of {rounds}: {name}\n")
            seen[name].append(run())
    return seen


def machine() -> str:
    """One line about where this ran."""
    info = Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*: (.*)", info)
    return (
        f"{os.cpu_count()} cores ({model.group(1) if model else platform.machine()}), "
        f"Linux {platform.release()}, Python {platform.python_version()}"
    )


def write_between(marks: tuple[str, str], text: str) -> None:
    """Put a text between its marks in the README."""
    readme = ROOT / "bench/README.md"
    (head, rest), end = readme.read_text().split(marks[0]), marks[1]
    readme.write_text(head + marks[0] + text + end + rest.split(end)[1])


def need(*programs: str) -> None:
    """Stop with the way out if a program is missing."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        sys.exit(f"missing: {', '.join(missing)}; apt-get install webhook wrk nginx-light")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int, seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise TimeoutError(f"nothing listens on {port}")


@contextmanager
def program(*command: str, port: int = 0, **environ: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program of its own process group while the block lasts."""
    process = subprocess.Popen(
        command, cwd=ROOT, env=os.environ | environ, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        if port:
            wait_for(port)
        yield process
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(40)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextmanager
def ours(
    rules: str, *launcher: str, **environ: str
) -> Iterator[tuple[int, Path, subprocess.Popen[bytes]]]:
    """Serve with these rules on a fresh ledger; gives port, home and process.

    The ``launcher`` is a command that does as `postsync` does.
    """
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder:
        home = Path(folder)
        keys(home)
        (home / "rules.yaml").write_text(rules)
        port = free_port()
        settings = {
            "POSTSYNC_HOME": str(home),
            "POSTSYNC_PORT": str(port),
            "POSTSYNC_RULES": json.dumps([str(home / "rules.yaml")]),
        }
        command = (*(launcher or (str(ROOT / ".venv/bin/postsync"),)), "serve")
        with program(*command, port=port, **settings, **environ) as process:
            until_ready(port)
            yield port, home, process


def keys(home: Path) -> None:
    """Write a sender's and an operator's token."""
    for role in ("senders", "operators"):
        (home / role).mkdir(parents=True)
        (home / role / "bench").write_text(TOKEN + ("-op" if role == "operators" else ""))


def until_ready(port: int) -> None:
    """Wait until the rules are loaded."""
    for _ in range(200):
        if (rules(port) or {}).get("ok"):
            return
        time.sleep(0.05)
    sys.exit("the bench's rules were not loaded")


def rules(port: int) -> dict[str, object] | None:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
            found: dict[str, object] | None = json.load(answer).get("rules")
            return found
    except OSError:
        return None


def metric(port: int, name: str, **labels: str) -> float:
    """Sum a metric over its labels, but those that are given."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    wanted = [f'{label}="{value}"' for label, value in labels.items()]
    return sum(
        float(line.rsplit(" ", 1)[1])
        for line in lines
        if re.match(rf"{name}(\{{| )", line) and all(word in line for word in wanted)
    )


NGINX = """
daemon off; worker_processes 1; pid @@DIR@@/pid; error_log @@DIR@@/error.log;
events { worker_connections 4096; }
http { access_log @@DIR@@/access.log; keepalive_requests 1000000; default_type application/json;
  server { listen 127.0.0.1:@@PORT@@ backlog=4096; return @@ANSWER@@; } }
"""


@contextmanager
def target(answer: str) -> Iterator[tuple[int, Path]]:
    """An nginx that gives one answer, as its `return` takes it; its port and its access log."""
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        config = Path(folder, "nginx.conf")
        text = NGINX.replace("@@DIR@@", folder).replace("@@PORT@@", str(port))
        config.write_text(text.replace("@@ANSWER@@", answer))
        with program("nginx", "-c", str(config), "-e", f"{folder}/error.log", port=port):
            yield port, Path(folder, "access.log")


def of_process(pid: int, file: str) -> str:
    """Read what Linux tells of a process; "" if it has just ended."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/{file}").read_text()
    return ""


def number(pattern: str, text: str) -> int:
    """The first number that the pattern finds, else 0."""
    found = re.search(pattern, text, re.MULTILINE)
    return int(found.group(1)) if found else 0


def tree(pid: int) -> list[int]:
    """A process and all below it."""
    return [pid, *(p for child in children(pid) for p in tree(child))]


def children(pid: int) -> list[int]:
    """The processes that a process has started, in that order."""
    return list(map(int, of_process(pid, f"task/{pid}/children").split()))


def parts(pid: int) -> tuple[int, int]:
    """The intake's process and the dispatcher's, in the order in which they are forked."""
    intake, dispatcher, *_ = children(pid)
    return intake, dispatcher


def peak(pid: int) -> float:
    """Megabytes that a process has had at most, shared pages included."""
    return number(r"^VmHWM:\s+(\d+) kB", of_process(pid, "status")) / 1024


def memory(pid: int) -> float:
    """Megabytes of a process tree: proportional set size, shared pages counted once."""
    rollups = (of_process(one, "smaps_rollup") for one in tree(pid))
    return sum(number(r"^Pss:\s+(\d+) kB", text) for text in rollups) / 1024


def cpu(pid: int) -> float:
    """CPU seconds of a process tree so far."""
    stats = (of_process(one, "stat").rpartition(")")[2].split() for one in tree(pid))
    ticks = sum(int(fields[11]) + int(fields[12]) for fields in stats if fields)
    return ticks / os.sysconf("SC_CLK_TCK")


def idle() -> float:
    """CPU seconds that all cores together had nothing to do, or waited for the disk, so far."""
    fields = Path("/proc/stat").read_text().splitlines()[0].split()
    return (int(fields[4]) + int(fields[5])) / os.sysconf("SC_CLK_TCK")


def written(pid: int) -> int:
    """Bytes that a process tree has written so far: the ledger, its WAL, and the log."""
    return sum(number(r"^wchar: (\d+)$", of_process(one, "io")) for one in tree(pid))


@dataclass(frozen=True)
class Cost:
    """Of one item: milliseconds of CPU, and kilobytes written."""

    cpu: float
    written: float


def medians(rounds: Sequence[Mapping[str, Cost]]) -> dict[str, Cost]:
    """Of each part the median cost."""
    return {
        name: Cost(
            statistics.median(costs[name].cpu for costs in rounds),
            statistics.median(costs[name].written for costs in rounds),
        )
        for name in rounds[0]
    }


class Meter:
    """What each named part spends from now on; a part is one process or more, with their trees."""

    def __init__(self, pids: Mapping[str, Sequence[int]]) -> None:
        self._pids = pids
        self._before = self._read()

    def each(self, items: int) -> dict[str, Cost]:
        """The cost of an item, if there were so many."""
        now = self._read()
        return {
            name: Cost((cpu - before[0]) * 1000 / items, (size - before[1]) / 1000 / items)
            for (name, (cpu, size)), before in zip(now.items(), self._before.values(), strict=True)
        }

    def _read(self) -> dict[str, tuple[float, int]]:
        return {
            name: (sum(map(cpu, pids)), sum(map(written, pids)))
            for name, pids in self._pids.items()
        }
