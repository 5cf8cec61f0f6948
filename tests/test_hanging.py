"""Handlers that leave, or never come back: their run fails, and the others have their threads."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from notifications import notification, resource
from service import wait_for
from sqlalchemy import text
from third_party import distribution

from receiver.app.composition import dispatcher_over
from receiver.core.errors import HandlersHang
from receiver.core.logs import configure_logs
from receiver.core.threads import deaths
from receiver.dispatcher import Dispatcher, worker_pool
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.engine.wakeup import Wakeup
from receiver.ledger.inbox.deliveries import Arrival
from receiver.ledger.inbox.group_commit import IntakeWriter
from receiver.ledger.queries.reader import Reader
from receiver.notification.parse import read_notification
from receiver.settings.model import Settings

pytestmark = pytest.mark.usefixtures("steady_at_once")

MODULE = """
import sys, threading
from receiver.contract import Handler, Params, Succeeded

OVER = threading.Event()

class Nothing(Params):
    '''Takes nothing.'''

def leave(params, call):
    raise {error}

def hang(params, call):
    OVER.wait()
    return Succeeded()

handlers = [
    Handler(name="bad.leave", summary="Leaves.", params=Nothing, run=leave, example="{{}}"),
    Handler(name="bad.hang", summary="Hangs.", params=Nothing, run=hang, example="{{}}"),
]
"""
RULES = """
version: 1
defaults: {timeout: 1s, retry: {for: 1s, initialDelay: 1s}}
rules:
- name: leave
  match: {application: {name: leaves}, resources: [{kind: ConfigMap}]}
  actions: [{uses: bad.leave}]
- name: hang
  match: {application: {name: hangs}, resources: [{kind: ConfigMap}]}
  actions: [{uses: bad.hang}]
- name: good
  match: {application: {name: good}, resources: [{kind: ConfigMap}]}
  actions: [{uses: log.message, with: {text: hello}}]
"""

Install = Callable[[str], Any]


def hanging(reader: Reader) -> int:
    """How many attempts the dispatcher says that hang."""
    status = reader.readiness().dispatcher
    assert status
    return status["hangingAttempts"]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Install a distribution with handlers, as a third party's; return its module."""
    site = tmp_path / "site"
    monkeypatch.syspath_prepend(str(site))

    def make(error: str) -> Any:
        name = f"bad_handlers_{abs(hash((error, str(tmp_path))))}"
        distribution(site, name, MODULE.format(error=error))
        return __import__(name)

    return make


class House:
    """A dispatcher in this process, over a ledger of its own."""

    def __init__(self, ledger: Ledger, dispatcher: Dispatcher, writer: IntakeWriter) -> None:
        self.ledger = ledger
        self.writer = writer
        self.dispatcher = dispatcher
        self.error: BaseException | None = None
        self.life = threading.Thread(target=self._live)

    def _live(self) -> None:
        try:
            self.dispatcher.run()
        except HandlersHang as error:
            self.error = error

    def send(self, application: str, count: int) -> None:
        body = notification(*(resource(f"{n}") for n in range(count)), application=application)
        read = read_notification(body, sender="argocd", channel="sync", query={})
        self.writer.submit(Arrival("argocd", "sync", body, datetime.now(UTC), read))

    def runs(self, handler: str) -> list[tuple[str, str]]:
        with self.ledger.read() as connection:
            found = connection.execute(
                text("SELECT state, reason FROM runs WHERE handler = :h"), {"h": handler}
            )
            return [(row.state, row.reason) for row in found]

    def wait(self, handler: str, state: str, count: int = 1) -> None:
        def done() -> bool:
            return [found for found, _ in self.runs(handler)] == [state] * count

        wait_for(done, 30, f"{handler} to be {state}")


@pytest.fixture
def house(file_ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr(worker_pool, "GRACE", 0.2)
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)

    @contextmanager
    def started(threads: int) -> Iterator[House]:
        settings = Settings(home=tmp_path, rules=[rules], attempt_threads=threads, lease=3, drain=0)
        log = configure_logs("json")
        writer = IntakeWriter(file_ledger, lambda _at, _events: None)
        dispatcher = dispatcher_over(file_ledger, settings, Wakeup(), log, "w-1")
        made = House(file_ledger, dispatcher, writer)
        writer.start()
        made.life.start()
        try:
            yield made
        finally:
            dispatcher.stop()
            made.life.join(20)
            writer.stop()
            assert not made.life.is_alive()

    with ExitStack() as stack:
        yield lambda threads: stack.enter_context(started(threads))


@pytest.mark.parametrize("error", ["SystemExit(3)", "KeyboardInterrupt", "MemoryError"])
def test_a_handler_that_leaves_fails_its_run_and_keeps_its_thread(
    house: Any, install: Install, error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of more of them than there are threads, none is lost, and other handlers go on."""
    install(error)
    died = deaths().get("attempt", 0)
    made = house(2)
    made.send("leaves", 5)
    made.wait("bad.leave", "failed", 5)
    name = error.partition("(")[0]
    assert {reason for _, reason in made.runs("bad.leave")} == {
        f"handler bad.leave broke off with {name}; see the log"
    }
    made.send("good", 1)
    made.wait("log.message", "succeeded")
    assert deaths()["attempt"] == died
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    told = [line for line in lines if line["event"] == "handler.bug"]
    assert len(told) == 5
    assert f"{name}" in told[0]["traceback"]


def test_a_handler_that_hangs_loses_its_thread_and_is_told(
    house: Any, install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its run fails by the retry policy, with where it hangs in the log; its thread is replaced."""
    module = install("ValueError")
    try:
        made = house(2)
        made.send("hangs", 1)
        made.wait("bad.hang", "failed")
        ((_, reason),) = made.runs("bad.hang")
        assert "handler bad.hang gave no answer within 1.2 s, and hangs" in reason
        made.send("good", 8)
        made.wait("log.message", "succeeded", 8)
        reader = Reader(made.ledger)
        wait_for(lambda: hanging(reader) == 1, 10, "the beat")
        counted = {(name, *labels.values()): value for name, labels, value in reader.counters()}
        assert counted["attempts_hung_total", "bad.hang"] == 1
        module.OVER.set()
        wait_for(lambda: hanging(reader) == 0, 10, "its end")
        made.wait("bad.hang", "failed")
    finally:
        module.OVER.set()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (told,) = [line for line in lines if line["event"] == "handler.hangs"]
    assert "OVER.wait()" in told["stack"]


def test_when_as_many_hang_as_there_are_threads_the_dispatcher_ends(
    house: Any, install: Install
) -> None:
    """Nothing else gives the threads back; whoever supervises the process starts it anew."""
    module = install("ValueError")
    try:
        made = house(2)
        made.send("hangs", 2)
        made.life.join(20)
        assert isinstance(made.error, HandlersHang)
        assert [state for state, _ in made.runs("bad.hang")] != ["running", "running"]
    finally:
        module.OVER.set()
