"""SupervisedThread threads: what becomes of one that breaks off, and who is told."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from service import wait_for

from receiver.core import threads
from receiver.core.logs import configure_logs
from receiver.core.threads import (
    SupervisedThread,
    call_with_timeout,
    deaths,
    start_daemon,
    thread_problems,
)

pytestmark = pytest.mark.usefixtures("steady_at_once")

ROOT = Path(__file__).parents[1]
HELPER = ROOT / "receiver" / "core" / "threads.py"
MAKERS = {"Thread", "Timer", "start_new_thread", "ThreadPoolExecutor"}


def makers(path: Path) -> list[str]:
    """Where a file names what makes a thread, but for a type's name."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            called = node.func
            name = getattr(called, "attr", None) or getattr(called, "id", None)
            if name in MAKERS:
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    return found


def test_no_thread_is_begun_but_by_the_helper() -> None:
    """A thread of its own would die in silence."""
    sources = [path for part in ("receiver", "handlers") for path in (ROOT / part).rglob("*.py")]
    assert [place for path in sources if path != HELPER for place in makers(path)] == []
    assert makers(HELPER)


class Body:
    """Work that breaks off with one error each life, and in the last lives until it may end."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)
        self.lives = 0
        self.over = threading.Event()

    def __call__(self) -> None:
        self.lives += 1
        if self.errors:
            raise self.errors.pop(0)
        self.over.wait()


Make = Callable[..., tuple[SupervisedThread, Body]]


@pytest.fixture
def supervised() -> Iterator[Make]:
    """Start threads with such bodies; all of them end with the test."""
    made: list[tuple[SupervisedThread, Body]] = []

    def start(*errors: BaseException, name: str = "worker") -> tuple[SupervisedThread, Body]:
        body = Body(*errors)
        thread = SupervisedThread(name, body, backoff=(0.01,) * len(errors))
        thread.start()
        made.append((thread, body))
        return thread, body

    yield start
    for thread, body in made:
        body.over.set()
        thread.join(10)


def told(capsys: pytest.CaptureFixture[str], thread: str) -> list[dict[str, Any]]:
    """Return what was logged of a thread; threads of tests before this one may log as well."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [line for line in lines if line.get("thread") == thread]


@pytest.mark.parametrize(
    "error", [ValueError("no"), SystemExit(3), KeyboardInterrupt(), MemoryError()]
)
def test_a_thread_that_breaks_off_is_told_and_begins_again(
    supervised: Make, capsys: pytest.CaptureFixture[str], error: BaseException
) -> None:
    """Whatever it raised, with its traceback in the log."""
    configure_logs("json")
    before = deaths().get("worker", 0)
    _, body = supervised(error, name="worker-3")
    wait_for(lambda: body.lives == 2, 10, "its second life")
    (line,) = told(capsys, "worker-3")
    assert (line["event"], line["level"]) == ("thread.died", "error")
    assert type(error).__name__ in line["traceback"]
    assert deaths()["worker"] == before + 1


def test_a_thread_ails_until_it_has_lived_for_a_while(
    supervised: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever dies each few seconds is never well, who died once is soon."""
    monkeypatch.setattr(threads, "STEADY", 0.5)
    thread, body = supervised(ValueError("no"), name="ailing")
    wait_for(lambda: body.lives == 2, 10, "its second life")
    assert thread.problem == "the thread ailing broke off: ValueError"
    assert thread.problem in thread_problems()
    wait_for(lambda: not thread.problem, 10, "its recovery")
    assert not [one for one in thread_problems() if "ailing" in one]


def test_a_thread_whose_work_returns_has_ended_well(supervised: Make) -> None:
    """That is how it is told to end."""
    thread, body = supervised(name="ending")
    assert thread.alive
    body.over.set()
    thread.join(10)
    assert not thread.alive
    assert not [one for one in thread_problems() if "ending" in one]


def test_a_thread_that_does_not_hold_ends_the_process() -> None:
    """Whoever supervises the process starts it anew; half a process helps nobody."""
    script = (
        "import time\nfrom receiver.core.threads import SupervisedThread\n"
        "SupervisedThread('hopeless', lambda: 1 / 0, backoff=(0.01, 0.01)).start()\n"
        "time.sleep(60)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert ended.returncode == 1
    assert ended.stdout.count("thread.died") == 3
    assert "the process ends" in ended.stdout


class Nameless(type):
    """Makes classes whose name cannot be told."""

    @property
    def __name__(cls) -> str:  # type: ignore[override]  # that is the point
        raise MemoryError


class Unspeakable(Exception, metaclass=Nameless):
    """Breaks whoever tells of it."""


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_is_gone_for_good_is_told_by_the_probe() -> None:
    """Its own supervision can break as well, where there is no memory left."""
    thread = SupervisedThread("gone", Body(Unspeakable()))
    thread.start()
    thread.join(10)
    assert thread.problem == "the thread gone is gone"
    assert thread.problem in thread_problems()
    threads._running.remove(thread)


def test_what_is_done_once_tells_how_it_broke_off(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody else would."""
    configure_logs("json")
    start_daemon("once", lambda: sys.exit("no")).join(10)
    (line,) = told(capsys, "once")
    assert line["event"] == "thread.died"
    assert "SystemExit: no" in line["traceback"]


def test_a_call_in_time_gives_its_answer_or_its_error() -> None:
    """As if it had been called here."""
    assert call_with_timeout("asked", lambda: 7, 10) == 7
    with pytest.raises(ZeroDivisionError):
        call_with_timeout("asked", lambda: 1 / 0, 10)


def test_a_call_that_is_late_is_left_behind() -> None:
    """It cannot be interrupted, and nobody waits for it."""
    over = threading.Event()
    with pytest.raises(TimeoutError):
        call_with_timeout("late", over.wait, 0.05)
    over.set()


def test_a_thread_that_is_just_begun_is_not_gone() -> None:
    """Whoever asks while it starts waits."""
    told: set[str] = set()
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            told.update(thread_problems())

    def wait() -> None:
        done.wait(0.01)

    asking = start_daemon("asking", ask)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for number in range(300):
            SupervisedThread(f"begun-{number}", wait).start()
    finally:
        sys.setswitchinterval(before)
        done.set()
    asking.join(10)
    assert not {one for one in told if "begun" in one}
