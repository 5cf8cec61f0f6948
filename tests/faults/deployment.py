"""A deployment under faults: its processes, which can be killed, frozen and started again."""

from __future__ import annotations

import os
import signal
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from senders import Load
from service import TOKEN, Target

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

    def __init__(self, home: Path, log: Path, target: Target, rules: str, **settings: str) -> None:
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
        """Return the process that is ``intake`` or ``dispatcher``.

        Where there are several dispatchers, it is the one that began the newest attempt.
        """

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
            # Whoever is frozen in a transaction keeps others from writing, and so from giving a
            # sign of life; the lease of these tests is shorter than a server has patience for.
            self.note("freeze", victim, began, time.time(), ends=True)

    def note(self, kind: str, victim: str, began: float, ended: float, *, ends: bool) -> None:
        """Remember what was done."""
        self.faults.append(Fault(kind, victim, began, ended, ends))

    def settle(self, patience: float = 120.0) -> None:
        """Wait until every sync is planned and every plan has ended.

        Args:
            patience: seconds; many times a lease, a retry's delay and the start of a process.

        Raises:
            TimeoutError: nothing has come nearer to that for so long.
        """
        least, until = self._left(), time.monotonic() + patience
        while least:
            if time.monotonic() > until:
                raise TimeoutError(f"{least} syncs and plans do not end")
            threading.Event().wait(0.3)
            left = self._left()
            if left < least:
                least, until = left, time.monotonic() + patience

    def _left(self) -> int:
        return int(self.query(LEFT)[0][0])


LEFT = """
SELECT 2 * (SELECT COUNT(*) FROM syncs WHERE state = 'new') +
       (SELECT COUNT(*) FROM plans WHERE state IN ('waiting', 'collecting', 'held', 'active'))
"""
"""What is left to do: a plan that is made is half of its sync's way."""
