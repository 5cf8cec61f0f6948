"""A deployment under faults: its processes, which can be killed, frozen and started again."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from senders import Load
from service import TOKEN, Service, Target, group_alive, wait_for

from receiver.ledger.connect import open_ledger
from receiver.ledger.doorbell import Doorbell
from receiver.logs import configure_logs
from receiver.service import dispatcher_over
from receiver.settings import Settings

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """What was done to whom, and from when to when (seconds since 1970).

    ``ends_attempts`` says whether it may end or hold up attempts that are under way.
    """

    kind: str
    victim: str
    began: float
    ended: float
    ends_attempts: bool


class Deployment(ABC):
    """One way to deploy, with the target that its rules call.

    Attributes:
        ledger: the engine's name.
        log: the file that has what it prints.
        target: what the rules call; ``{url}`` in their text is its address.
        faults: what was done to it so far.
    """

    ledger: str

    def __init__(
        self, home: Path, log: Path, target: Target, rules: str, **settings: str
    ) -> None:
        self.home = home
        self.log = log
        self.target = target
        self.rules = rules.format(url=target.url)
        self.settings = {"drain": "2", **settings}
        self.faults: list[Fault] = []

    @property
    @abstractmethod
    def urls(self) -> list[str]:
        """Where notifications go."""

    @property
    @abstractmethod
    def victims(self) -> dict[str, bool]:
        """What can be killed by name, and whether that ends attempts under way."""

    @abstractmethod
    def start(self) -> None:
        """Start everything, and wait until it is ready."""

    @abstractmethod
    def stop(self) -> None:
        """Stop what runs, as an operator does."""

    @abstractmethod
    def destroy(self) -> None:
        """Kill what is left."""

    @abstractmethod
    def kill(self, victim: str) -> Callable[[], None]:
        """Kill it by signal 9; returns what brings it back."""

    @abstractmethod
    def roll(self) -> None:
        """Restart each part in turn, by SIGTERM, as a rolling upgrade does."""

    @abstractmethod
    def query(self, statement: str) -> list[Row]:
        """Look into the ledger."""

    @abstractmethod
    def process(self, victim: str) -> int:
        """Return the process of this name."""

    @abstractmethod
    def second_worker(self) -> AbstractContextManager[None]:
        """Have somebody else plan and run while the block lasts."""

    def load(self, **options: Any) -> Load:
        """Return senders for this deployment."""
        return Load(self.urls, f"{TOKEN}senders", **options)

    def hit(self, victim: str) -> None:
        """Kill it, and bring it back."""
        began = time.time()
        recover = self.kill(victim)
        self.note("kill -9", victim, began, time.time(), ends=self.victims[victim])
        recover()

    @contextmanager
    def freeze(self, victim: str) -> Iterator[int]:
        """Keep a process from running while the block lasts."""
        pid, began = self.process(victim), time.time()
        os.kill(pid, signal.SIGSTOP)
        try:
            yield pid
        finally:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
            self.note("freeze", victim, began, time.time(), ends=self.victims[victim])

    def note(self, kind: str, victim: str, began: float, ended: float, *, ends: bool) -> None:
        """Remember what was done."""
        self.faults.append(Fault(kind, victim, began, ended, ends))

    def settle(self, seconds: float = 60) -> None:
        """Wait until every sync is planned and every plan has ended."""

        def done() -> bool:
            return self.query(LEFT) == [(0,)]

        wait_for(done, seconds, "every plan to end")


LEFT = """
SELECT (SELECT COUNT(*) FROM syncs WHERE state = 'new') +
       (SELECT COUNT(*) FROM plans WHERE state IN ('waiting', 'collecting', 'held', 'active'))
"""


class OneHost(Deployment):
    """`postsync serve` over a SQLite file."""

    ledger = "SQLite"

    def __init__(
        self, home: Path, log: Path, target: Target, rules: str, **settings: str
    ) -> None:
        super().__init__(home, log, target, rules, **settings)
        self.service = Service(home, self.rules, log=log, **self.settings)

    @property
    def urls(self) -> list[str]:
        """The one intake's."""
        return [self.service.url]

    @property
    def victims(self) -> dict[str, bool]:
        """Whoever loses its dispatcher by signal 9 loses attempts; the others let it finish."""
        return {
            "worker": False, "arbiter": False, "supervisor": False, "dispatcher": True, "all": True
        }  # fmt: skip

    def start(self) -> None:
        """Start it."""
        self.service.start()

    def stop(self) -> None:
        """Stop it; nothing of it may have failed."""
        assert self.service.stop() == 0

    def destroy(self) -> None:
        """Kill what is left of it."""
        process = self.service.process
        if process and group_alive(process.pid):
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(20)

    def kill(self, victim: str) -> Callable[[], None]:
        """Kill one process, or all at once as a power failure would."""
        if victim == "all":
            self.service.kill()
            return self.start
        with suppress(ProcessLookupError, FileNotFoundError, ValueError):
            os.kill(self.service.processes()[victim], signal.SIGKILL)
        return self._come_back if victim != "worker" else _nothing

    def roll(self) -> None:
        """Stop it and start it again: one host has nobody else meanwhile."""
        began = time.time()
        self.stop()
        self.start()
        self.note("restart", "all", began, time.time(), ends=False)

    def query(self, statement: str) -> list[Row]:
        """Look into the file."""
        with closing(sqlite3.connect(self.home / "ledger.db")) as connection:
            return connection.execute(statement).fetchall()

    def process(self, victim: str) -> int:
        """Return the process by the names of `Service.processes`."""
        return self.service.processes()[victim]

    @contextmanager
    def second_worker(self) -> Iterator[None]:
        """Have a dispatcher of this process take over, as the next start would."""
        settings = Settings(home=self.home, rules=[self.service.rules], attempt_threads=4)
        ledger = open_ledger(settings.ledger)
        dispatcher = dispatcher_over(ledger, settings, Doorbell(), configure_logs("json"))
        life = threading.Thread(target=dispatcher.run)
        life.start()
        try:
            yield
        finally:
            dispatcher.stop()
            life.join(20)
            ledger.close()

    def _come_back(self) -> None:
        """Start it again when all of it has ended because of the one that was killed."""
        self.service.stop()
        self.start()


def _nothing() -> None:
    """Somebody else starts it again: gunicorn does so with its worker."""
