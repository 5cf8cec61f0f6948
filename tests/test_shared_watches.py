"""Watches that the runs of a process share, told by a toy."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any

import pytest
from service import wait_for
from sqlalchemy import text

from receiver.contract import Teller, TemporaryError
from receiver.core.logs import configure_logs
from receiver.core.threads import deaths
from receiver.dispatcher import outage, watches
from receiver.dispatcher.watches import Watches
from receiver.ledger.engine.ledger import Ledger
from receiver.outbound import Outbound

PATIENCE = 20.0
KEEP = 60.0


@dataclass(frozen=True)
class Toy:
    """Tells what a test has it tell, each by the teller; it fails while ``why`` is set."""

    name: str
    script: SimpleQueue[Callable[[Teller], Any]] = field(default_factory=SimpleQueue, compare=False)
    begun: list[threading.Thread] = field(default_factory=list, compare=False)
    why: list[BaseException] = field(default_factory=list, compare=False)

    def follow(self, teller: Teller) -> None:
        self.begun.append(threading.current_thread())
        if self.why:
            raise self.why[-1]
        with teller.open(anew=True):
            while teller.wanted:
                with suppress(Empty):
                    self.script.get(timeout=0.02)(teller)

    def tell(self, subject: str, news: str) -> None:
        self._do(lambda teller: teller.tell(subject, news))

    def end(self, subject: str) -> None:
        self._do(lambda teller: teller.ended(subject))

    def cut(self, error: BaseException) -> None:
        def fail(_: Teller) -> None:
            raise error

        self.script.put(fail)

    def _do(self, work: Callable[[Teller], None]) -> None:
        done = threading.Event()

        def do(teller: Teller) -> None:
            work(teller)
            done.set()

        self.script.put(do)
        assert done.wait(PATIENCE)


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outage, "BACKOFF", (0.02,))
    monkeypatch.setattr(watches, "AGAIN", 0.02)


@pytest.fixture
def wakes() -> list[int]:
    return []


@pytest.fixture
def made(file_ledger: Ledger, outbound: Outbound, wakes: list[int]) -> Iterator[Watches]:
    found = Watches(outbound, file_ledger, lambda: wakes.append(1), configure_logs("json"))
    yield found
    found.stop()


def opened(made: Watches, toy: Toy, *runs: str, subject: str = "j-1", keep: float = KEEP) -> None:
    """Let these runs wait, and the watch be open."""
    for run in runs:
        made.of_run(run).news(toy, subject, keep)
    toy.tell("j-0", "open")


def told(ledger: Ledger, name: str) -> list[dict[str, Any]]:
    with ledger.read() as connection:
        rows = connection.execute(
            text("SELECT data FROM audit_events WHERE name = :name ORDER BY seq"), {"name": name}
        )
        return [json.loads(row.data) for row in rows]


def test_runs_share_one_watch_and_each_knows_what_it_told(made: Watches) -> None:
    """The first one begins it, and knows nothing yet."""
    toy = Toy("Jobs")
    assert made.of_run("r-1").news(toy, "j-1", KEEP) is None
    toy.tell("j-1", "it runs")
    for run in ("r-1", "r-2"):
        assert made.of_run(run).news(Toy("Jobs"), "j-1", KEEP) == "it runs"
    assert made.of_run("r-2").news(toy, "j-2", KEEP) is None
    assert len(toy.begun) == 1


def test_an_end_wakes_those_who_wait_for_it(made: Watches, wakes: list[int]) -> None:
    """Once, and nobody else."""
    toy = Toy("Jobs")
    opened(made, toy, "r-1", "r-2")
    opened(made, toy, "r-3", subject="j-2")
    toy.tell("j-1", "it runs")
    toy.end("j-1")
    toy.end("j-1")
    assert wakes == [1]
    assert made.take_woken([]) == {"r-1", "r-2"}
    assert made.take_woken([]) == set()
    assert made.of_run("r-1").news(toy, "j-1", KEEP) is None


def test_a_run_that_is_being_asked_is_woken_afterwards(made: Watches) -> None:
    """It may have looked just before the end."""
    toy = Toy("Jobs")
    opened(made, toy, "r-1", "r-2")
    toy.end("j-1")
    assert made.take_woken(["r-1"]) == {"r-2"}
    assert made.take_woken([]) == {"r-1"}


def test_who_waits_for_what_a_new_watch_does_not_tell_is_asked(
    made: Watches, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It went after the run had looked, and before the watch began; once, and nobody else."""
    monkeypatch.setattr(watches, "SETTLED", 0.0)
    toy = Toy("Jobs")
    toy.why.append(TemporaryError("not yet"))
    made.of_run("r-1").news(toy, "gone", KEEP)
    made.of_run("r-2").news(toy, "there", KEEP)
    wait_for(lambda: bool(toy.begun), PATIENCE, "the first try")
    toy.script.put(lambda teller: teller.tell("there", "it runs"))
    toy.why.clear()
    toy.tell("j-0", "open")
    assert made.take_woken([]) == {"r-1"}
    assert made.take_woken([]) == set()


def test_what_was_told_holds_only_while_the_watch_is_open(made: Watches) -> None:
    """What is begun anew may have missed something."""
    toy = Toy("Jobs")
    opened(made, toy, "r-1")
    toy.tell("j-1", "it runs")
    toy.why.append(TemporaryError("nobody there"))
    toy.cut(TemporaryError("cut"))
    news = made.of_run("r-1").news
    wait_for(lambda: news(toy, "j-1", KEEP) is None, PATIENCE, "the cut")
    toy.why.clear()
    toy.tell("j-2", "it runs")
    assert (news(toy, "j-2", KEEP), news(toy, "j-1", KEEP)) == ("it runs", None)


def test_a_watch_that_fails_is_told_once_and_when_it_works_again(
    made: Watches, file_ledger: Ledger
) -> None:
    """However often it is tried, and although nobody needed it in between."""
    toy = Toy("Jobs in namespace shop")
    toy.why.append(TemporaryError("no right"))
    for run in ("r-1", "r-2"):
        begun = len(toy.begun)
        made.of_run(run).news(toy, "j-1", 0.2)
        wait_for(lambda: len(toy.begun) > begun + 2, PATIENCE, "three tries")  # noqa: B023 at once
        wait_for(lambda: ended(toy), PATIENCE, "its end")
    about = {"watch": "Jobs in namespace shop"}
    assert told(file_ledger, "watch.failed") == [{**about, "reason": "no right"}]
    assert told(file_ledger, "watch.restored") == []
    toy.why.clear()
    opened(made, toy, "r-3")
    assert told(file_ledger, "watch.restored") == [about]


def ended(toy: Toy) -> bool:
    return not toy.begun[-1].is_alive()


def test_a_watch_ends_when_nobody_needs_it(made: Watches) -> None:
    """And begins anew for the next run."""
    toy = Toy("Jobs")
    opened(made, toy, "r-1", keep=0.2)
    wait_for(lambda: ended(toy), PATIENCE, "its end")
    assert len(toy.begun) == 1
    opened(made, toy, "r-2")
    assert len(toy.begun) == 2


def test_a_bug_of_a_handlers_ends_no_thread(
    made: Watches, file_ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is logged, and the watch begun anew."""
    toy = Toy("Jobs")
    opened(made, toy, "r-1")
    toy.cut(ZeroDivisionError())
    wait_for(lambda: len(toy.begun) == 2, PATIENCE, "its next beginning")
    opened(made, toy, "r-1")
    assert "ZeroDivisionError" in capsys.readouterr().out
    assert told(file_ledger, "watch.failed") == []
    assert toy.begun[0] == toy.begun[1]


@pytest.mark.usefixtures("steady_at_once")
def test_the_thread_of_a_watch_that_breaks_off_begins_again(made: Watches) -> None:
    """As every thread of ours."""
    toy, before = Toy("Jobs"), deaths().get("watch", 0)
    opened(made, toy, "r-1")
    toy.cut(SystemExit(1))
    wait_for(lambda: deaths()["watch"] == before + 1, PATIENCE, "its death")
    opened(made, toy, "r-1")
    toy.end("j-1")
    assert made.take_woken([]) == {"r-1"}


def test_what_is_known_is_bounded(made: Watches, monkeypatch: pytest.MonkeyPatch) -> None:
    """In number over all watches, and each in length; what is beyond is asked."""
    monkeypatch.setattr(watches, "MOST_NEWS", 3)
    toys = [Toy("Jobs"), Toy("Others")]
    for toy in toys:
        opened(made, toy, "r-1")
        toy.tell("j-1", "it runs")
    news = made.of_run("r-1").news
    assert [news(toy, "j-1", KEEP) for toy in toys] == ["it runs", None]
    toys[0].tell("j-1", "it runs on")
    assert news(toys[0], "j-1", KEEP) == "it runs on"
    toys[0].tell("j-1", "x" * 4_097)
    assert news(toys[0], "j-1", KEEP) is None


def test_so_many_watches_and_no_more(made: Watches, monkeypatch: pytest.MonkeyPatch) -> None:
    """The runs beyond them are asked; when one ends, there is room for another."""
    monkeypatch.setattr(watches, "MOST_WATCHES", 1)
    one, other = Toy("Jobs"), Toy("Others")
    opened(made, one, "r-1", keep=0.2)
    assert made.of_run("r-2").news(other, "j-1", KEEP) is None
    assert other.begun == []
    wait_for(lambda: ended(one), PATIENCE, "its end")
    opened(made, other, "r-2")
    assert len(other.begun) == 1


def test_after_a_stop_none_is_begun(made: Watches) -> None:
    """And those that there are end."""
    toy = Toy("Jobs")
    opened(made, toy, "r-1")
    made.stop()
    wait_for(lambda: ended(toy), PATIENCE, "its end")
    assert made.of_run("r-1").news(toy, "j-1", KEEP) is None
    assert len(toy.begun) == 1
