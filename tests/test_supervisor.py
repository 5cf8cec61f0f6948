"""The supervisor's processes: they start together and end together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from service import ROOT, children, group_alive

Start = Callable[..., "subprocess.Popen[str]"]

SCRIPT = """
import signal, sys, threading, time
from receiver.app.supervisor import Supervisor

def say(word):
    sys.stdout.write(word + "\\n")
    sys.stdout.flush()

def wait():
    while True:
        time.sleep(0.1)  # a signal just before a sleep is seen after it

def stay():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGHUP, lambda *_: say("hup"))
    say("up")
    wait()

def deaf():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    say("up")
    wait()

def ends(name, seconds):
    def end(*_):
        say(name + " asked")
        time.sleep(seconds)
        say(name + " ended")
        sys.exit(0)
    signal.signal(signal.SIGTERM, end)
    say("up")
    wait()

def linger():
    ends("linger", 0)

def slow():
    ends("slow", 0.3)

def size():
    pages = open("/proc/self/statm").read().split()[1]
    return int(pages) * 4096 >> 20

def large():
    def fill():
        parts = [bytearray(b"x") * (4 << 20) for _ in range(4)]
        kept.append(bytearray(1 << 16))  # what lies above keeps an arena from shrinking
    kept, before = [], size()
    for _ in range(8):
        thread = threading.Thread(target=fill)
        thread.start()
        thread.join()
    say(f"grew by {size() - before} MB")
    stay()

def early():
    say("up")
    wait()  # it has not come to handle signals yet

def leave():
    sys.stdin.readline()

def fall():
    leave()
    raise ValueError("boom")

def nothing():
    pass

bodies = {name: globals()[name] for name in sys.argv[2:]}
sys.exit(Supervisor(bodies, grace=float(sys.argv[1])).run(nothing))
"""


@pytest.fixture
def start() -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def run(*bodies: str, grace: float = 20) -> subprocess.Popen[str]:
        """Supervise these bodies, and return when those that stay are up."""
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(grace), *bodies], cwd=ROOT, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip
        started.append(process)
        assert process.stdout
        for _ in set(bodies) & {"stay", "deaf", "linger", "slow"}:
            assert process.stdout.readline() == "up\n"
        return process

    yield run
    for process in started:
        if group_alive(process.pid):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def test_a_wanted_stop_ends_every_child_and_is_no_failure(start: Start) -> None:
    """SIGTERM to the supervisor reaches its children, and the whole exits with 0."""
    process = start("stay")
    process.terminate()
    assert process.wait(120) == 0
    assert not group_alive(process.pid)


@pytest.mark.parametrize(
    ("body", "told"),
    [("leave", "the leave process ended (exit code 0)"), ("fall", "ValueError: boom")],
)
def test_one_that_ends_by_itself_stops_the_others(start: Start, body: str, told: str) -> None:
    """Half a service is none: whoever restarts it sees exit code 1 and reads which it was."""
    process = start(body, "stay")
    assert told in process.communicate("go\n", timeout=120)[1]
    assert process.returncode == 1
    assert not group_alive(process.pid)


def test_a_child_that_is_killed_is_named_with_its_signal(start: Start) -> None:
    """As the kernel does when memory runs out."""
    process = start("stay", "deaf", grace=0.1)
    os.kill(min(children(process.pid)), signal.SIGKILL)
    assert process.wait(120) == 1
    assert "the stay process ended (signal SIGKILL)" in process.communicate()[1]


def test_a_stop_before_a_child_listens_is_no_failure(start: Start) -> None:
    """It has begun nothing that would have to be ended."""
    process = start("stay", "early")
    process.terminate()
    assert process.wait(20) == 0


def test_one_that_does_not_stop_is_killed_after_the_grace(start: Start) -> None:
    """A child that ignores SIGTERM holds nothing up for ever, and is a failure."""
    process = start("deaf", "stay", grace=0.2)
    process.terminate()
    assert process.wait(120) == 1
    assert not group_alive(process.pid)
    assert "had to kill deaf" in process.communicate()[1]


def test_a_killed_supervisor_takes_its_children_along(start: Start) -> None:
    """No child goes on alone, where nobody would restart or stop it."""
    process = start("stay")
    process.kill()
    process.communicate(timeout=120)  # ends when nobody holds its stdout any more


def test_a_hangup_is_passed_on(start: Start) -> None:
    """SIGHUP is for the children: they read the rules again and open their logs anew."""
    process = start("stay")
    process.send_signal(signal.SIGHUP)
    assert process.stdout
    assert process.stdout.readline() == "hup\n"
    process.terminate()
    assert process.wait(120) == 0


def test_children_end_one_after_the_other_the_first_one_last(start: Start) -> None:
    """What takes requests is there for as long as the others need to end."""
    process = start("linger", "slow")
    process.terminate()
    out, _ = process.communicate(timeout=120)
    assert out.splitlines() == ["slow asked", "slow ended", "linger asked", "linger ended"]
    assert process.returncode == 0


def test_what_was_freed_is_returned_to_the_system(start: Start) -> None:
    """However many threads have held something large, one after another."""
    process = start("large")
    assert process.stdout
    told = process.stdout.readline()
    assert int(told.split()[2]) < 8, told
