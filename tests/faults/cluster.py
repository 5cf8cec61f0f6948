"""Two `postsync serve` and two `postsync work` over a PostgreSQL server of their own."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path

import psycopg
from deployment import Deployment, Row
from postgres import Postgres, postgres_server
from service import Service, Target, children, group_alive

from receiver.ledger.engine.postgres import migrate_postgres


class Worker(Service):
    """One `postsync work`."""

    command = "work"


class Cluster(Deployment):
    """Any of its parts may die, the database's server too."""

    ledger = "PostgreSQL"

    def __init__(self, home: Path, log: Path, target: Target, rules: str, **settings: str) -> None:
        super().__init__(home, log, target, rules, **settings)
        self._stack = ExitStack()
        self.server, self._url = self._database(self._stack)
        migrate_postgres(self._url)
        self.intakes = [self._part(Service, f"intake-{number}") for number in (1, 2)]
        self.workers = [self._part(Worker, f"worker-{number}") for number in (1, 2)]
        self._chance = random.Random(20261121)  # noqa: S311 repeatable, no secret

    def _database(self, stack: ExitStack) -> tuple[Postgres, str]:
        """Start what the ledger is in; it ends with the stack."""
        server = stack.enter_context(postgres_server(durable=True))
        return server, server.url()

    def _part(self, kind: type[Service], name: str) -> Service:
        log = self.log.with_name(f"log-{name}")
        settings = {"lease": "3", **self.settings, "database": self._url}
        return kind(self.home / name, self.rules, log=log, **settings)

    @property
    def parts(self) -> list[Service]:
        """All that was started by a command."""
        return [*self.intakes, *self.workers]

    @property
    def urls(self) -> list[str]:
        """Those of the intakes."""
        return [intake.url for intake in self.intakes]

    @property
    def victims(self) -> dict[str, bool]:
        """A server that is away keeps outcomes from being written."""
        return {"intake": False, "host": False, "dispatcher": True, "worker": True, "server": True}

    def start(self) -> None:
        """Start all parts at once."""
        for part in self.parts:
            part.start(ready=False)
        self._wait()

    def stop(self) -> None:
        """Stop all; nothing may have failed, and the server goes last."""
        for part in self.parts:
            assert part.stop() == 0, part.home.name

    def destroy(self) -> None:
        """Kill what is left."""
        for part in self.parts:
            if part.process and group_alive(part.process.pid):
                os.killpg(part.process.pid, signal.SIGKILL)
                part.process.wait(20)
        self._stack.close()

    def kill(self, victim: str) -> Callable[[], None]:
        """Kill a process, all processes of one part (host, worker), or the database's server."""
        if victim == "server":
            self.server.kill()
            return self._server_back
        if victim == "intake":
            os.kill(self.process(victim), signal.SIGKILL)
            return self._wait
        if victim == "dispatcher":
            part = self._busiest()
            os.kill(_dispatcher(part), signal.SIGKILL)
            return lambda: self._back(part)
        part = self._chance.choice(self.intakes if victim == "host" else self.workers)
        part.kill()
        return lambda: self._back(part)

    def roll(self) -> None:
        """Stop each part and start it again, while the others go on."""
        for part in self.parts:
            began = time.time()
            assert part.stop() == 0, part.home.name
            part.start(ready=False)
            self._wait()
            self.note("restart", part.home.name, began, time.time(), ends=False)

    def query(self, statement: str) -> list[Row]:
        """Look into the database."""
        with psycopg.connect(self._url) as connection:
            return connection.execute(statement.encode()).fetchall()

    def process(self, victim: str) -> int:
        """Return gunicorn's worker of an intake, or a dispatcher."""
        if victim == "intake":
            arbiter = children(_pid(self._chance.choice(self.intakes)))[0]
            return children(arbiter)[0]
        return _dispatcher(self._busiest())

    def second_worker(self) -> AbstractContextManager[None]:
        """There is one already."""
        return nullcontext()

    def _busiest(self) -> Service:
        """Return the worker that began the newest attempt."""
        return max(self.workers, key=_began)

    def _back(self, part: Service) -> None:
        part.stop()
        part.start(ready=False)
        self._wait()

    def _server_back(self) -> None:
        self.server.start()
        self._wait()

    def _wait(self) -> None:
        for part in self.parts:
            part.wait_until_ready()


def _pid(part: Service) -> int:
    assert part.process
    return part.process.pid


def _dispatcher(worker: Service) -> int:
    return next(pid for pid in children(_pid(worker)) if not children(pid))


def _began(worker: Service) -> str:
    """When it began an attempt last, as its log tells; "" if never."""
    return max((line["at"] for line in worker.events("attempt.started")), default="")
