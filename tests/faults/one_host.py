"""`postsync serve` on one host, over a SQLite file."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from deployment import Deployment, Row
from service import Service, Target, group_alive

from receiver.app.composition import dispatcher_over
from receiver.core.logs import configure_logs
from receiver.core.model import new_id
from receiver.ledger.engine.open import open_ledger
from receiver.ledger.engine.wakeup import Wakeup
from receiver.settings.model import Settings


class OneHost(Deployment):
    """`postsync serve` over a SQLite file."""

    ledger = "SQLite"

    def __init__(self, home: Path, log: Path, target: Target, rules: str, **settings: str) -> None:
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
            "intake": False, "arbiter": False, "supervisor": False, "dispatcher": True, "all": True
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
            os.kill(self.process(victim), signal.SIGKILL)
        return self._come_back if victim != "intake" else _nothing

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
        """Return a process; the intake's is gunicorn's worker."""
        name = "worker" if victim == "intake" else victim
        return self.service.processes()[name]

    @contextmanager
    def second_worker(self) -> Iterator[None]:
        """Have a dispatcher of this process take over, as the next start would."""
        settings = Settings(home=self.home, rules=[self.service.rules], attempt_threads=4)
        ledger = open_ledger(settings.ledger)
        log = configure_logs("json")
        dispatcher = dispatcher_over(ledger, settings, Wakeup(), log, new_id("w"))
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
