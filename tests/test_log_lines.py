"""The log, when stdout takes nothing: lines are lost, counted and told, and nothing else is."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from notifications import notification, resource
from postgres import Databases
from service import ROOT, TELL, Service, wait_for

from receiver.core.errors import AttemptError
from receiver.core.logs import WARNINGS, configure_logs, lost_lines, write_event
from receiver.core.model import Event
from receiver.outbound.secret_masking import Masker


def test_a_full_device_costs_the_lines_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are counted, and told on stderr, once."""
    configure_logs("json").info("taken")  # so that what other tests lost has been told
    before = lost_lines()
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        log = configure_logs("json")
        for number in range(3):
            log.info("said", number=number)
    assert lost_lines() == before + 3
    assert capsys.readouterr().err.count("stdout takes no line of the log: ") == 1


AT = "2026-11-29T12:00:00.123Z"
IDS = ("delivery", "sync", "plan", "run", "attempt")
EVENTS = (
    Event("sync.planned", {"plans": 1, "rules": ["a", "ü"], "odd": None}, sync="s-1"),
    Event(
        "run.failed", {"reason": 'a "line"\n\x1b[31m \ud800', "seconds": 0.1}, "d", "s", "p", "r", 2
    ),
    Event("attempt.lost", {"at_all": {"b": 1, "a": float("inf")}, "kind": []}, run="r-1"),
)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.name)
def test_an_event_of_the_trail_is_the_line_that_structlog_makes(
    event: Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its short way changes no byte."""
    configure_logs("json").info("taken")  # so that what other tests lost has been told
    monkeypatch.setattr(sys, "stdout", lines := StringIO())
    log = configure_logs("json")
    write_event(log, event, AT)
    ids = {name: value for name in IDS if (value := getattr(event, name))}
    say = log.warning if event.name in WARNINGS else log.info
    say(event.name, at=AT, **ids, **event.data)
    short, whole = lines.getvalue().splitlines()
    assert short == whole


def script(*lines: str) -> list[str]:
    """A program with a log; its stderr is where the test reads what became of it."""
    head = [
        "import sys, os",
        "from receiver.core.logs import configure_logs, lost_lines",
        "log = configure_logs('json')",
    ]
    return [sys.executable, "-c", "\n".join([*head, *lines])]


def test_a_reader_that_went_away_costs_the_lines_and_nothing_else() -> None:
    """EPIPE: the other end of the pipe is closed."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        script("log.info('said')", "sys.exit(lost_lines())"),
        stdout=write, stderr=subprocess.PIPE, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    os.close(write)
    assert done.returncode == 1
    assert "Broken pipe" in done.stderr


def test_a_process_without_stdout_has_a_log_that_is_lost() -> None:
    """Started with `>&-`, Python has no stdout at all."""
    program, _, code = script("log.info('said')", "sys.exit(10 + lost_lines())")
    closed = ["sh", "-c", '"$0" -c "$1" >&-', program, code]
    assert subprocess.run(closed, cwd=ROOT, check=False).returncode == 11


def test_when_lines_are_taken_again_it_is_told_how_many_were_lost(tmp_path: Path) -> None:
    """None of those that were counted as lost is written late."""
    code = script(
        f"there = os.open({str(tmp_path / 'log')!r}, os.O_WRONLY | os.O_CREAT)",
        "full = os.open('/dev/full', os.O_WRONLY)",
        "log.info('one'); os.dup2(full, 1); log.info('two'); log.info('three')",
        "os.dup2(there, 1); log.info('four')",
    )
    done = subprocess.run(code, capture_output=True, text=True, cwd=ROOT, check=True)
    assert "No space left on device" in done.stderr
    assert [json.loads(line)["event"] for line in done.stdout.splitlines()] == ["one"]
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [line["event"] for line in lines] == ["four", "log.lost"]
    assert lines[-1]["lines"] == 2


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """The settings of a ledger of either engine."""
    if request.param == "sqlite":
        yield {}
        return
    ledgers: Databases = request.getfixturevalue("ledgers")
    with ledgers.database() as url:
        yield {"database": url}


def ready(service: Service) -> bool:
    """Whether notifications are taken; on PostgreSQL nobody here loads rules."""
    try:
        return service.request("GET", "/readyz")[0] == 200
    except AttemptError:
        return False


def test_a_service_whose_stdout_is_full_serves_on(tmp_path: Path, place: dict[str, str]) -> None:
    """Notifications are stored, planned and run, and the lost lines are counted."""
    service = Service(tmp_path, TELL, log=Path("/dev/full"), **place)
    try:
        service.start(ready=False)
        wait_for(lambda: ready(service), 30, "the service")
        for number in range(5):
            body = notification(resource("a"), application=f"shop-{number}")
            assert service.request("POST", "/v1/notifications", body)[0] == 202
        assert service.request("GET", "/healthz")[0] == 200
        door = service._door.http(time.monotonic() + 20, Masker(()))
        metrics = door.send("GET", f"{service.url}/metrics").body.decode()
        (lost,) = re.findall(r'log_lines_lost_total{process="intake"} (\S+)', metrics)
        assert float(lost) >= 5
    finally:
        service.kill()
