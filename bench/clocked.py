"""Does as `postsync` does, and clocks the CPU of each stage, a file a process in `BENCH_CLOCKS`.

A stage's time is its thread's CPU, C code and the kernel included, without the stages that it
calls: so all of them, and what is in none, add up to the CPU of the process. A clock takes time
itself (some percent), so that the shares count. A name that is no more ends it at the start.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

STAGES = {
    "gunicorn: a request and its answer": ["receiver.web.worker:Worker.handle"],
    "view": ["receiver.web.intake:NotificationEndpoint.receive_plain"],
    "JSON and shape of the notification": ["receiver.notification.parse:read_notification"],
    "compression": ["zlib:compress", "zlib:decompress"],
    "hand-over to the writer": ["receiver.ledger.inbox.group_commit:IntakeWriter.submit"],
    "rows, and Python round the statements": [
        "receiver.ledger.inbox.group_commit:IntakeWriter._commit",
        "receiver.dispatcher.turn:Turn.store",
        "receiver.dispatcher.loop:Dispatcher._claim",
        "receiver.dispatcher.loop:Dispatcher._observe",
    ],
    "trail and counters": ["receiver.ledger.audit.trail:append_events"],
    "JSON that is stored": ["receiver.core.storable:dumps"],
    "statements: binding, driver, database": [
        "receiver.ledger.prepared:Prepared.run",
        "receiver.ledger.prepared:Prepared.all",
    ],
    "statements by SQLAlchemy": ["sqlalchemy.engine:Connection.execute"],
    "commit": [
        "sqlalchemy.engine.default:DefaultDialect.do_commit",
        "sqlalchemy.engine.default:DefaultDialect.do_rollback",
    ],
    "log": ["receiver.core.logs:write_event"],
    "planning": ["receiver.dispatcher.preparation:Preparation.plan_syncs"],
    "matching": ["receiver.rules.matching.matcher:Matcher.match"],
    "rendering": ["receiver.planning.parameters:Renderer.release"],
    "attempt": ["receiver.dispatcher.attempt:Runner.run"],
    "HTTP client": ["receiver.outbound.client:HttpClient.send"],
    "urllib3": ["urllib3.connectionpool:HTTPConnectionPool.urlopen"],
    "http.client and socket": [
        "http.client:HTTPConnection.endheaders",
        "http.client:HTTPConnection.getresponse",
    ],
}
"""Functions of each stage."""

Times = dict[str, int]
FOLDER = Path(os.environ["BENCH_CLOCKS"])

_threads: list[Times] = []


class _Local(threading.local):
    """A thread's nanoseconds by stage, and how long the stages within each one under way took."""

    def __init__(self) -> None:
        self.times: Times = defaultdict(int)
        self.within: list[int] = []
        _threads.append(self.times)


_local = _Local()


def clocked(stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function with a clock on it."""

    @functools.wraps(function)
    def run(*values: Any, **named: Any) -> Any:
        times, within = _local.times, _local.within
        within.append(0)
        began = time.thread_time_ns()
        try:
            return function(*values, **named)
        finally:
            took = time.thread_time_ns() - began
            times[stage] += took - within.pop()
            if within:
                within[-1] += took

    return run


def put_clock(stage: str, place: str) -> None:
    """Put a clock on a function or method, wherever its name is known by now."""
    module, _, names = place.partition(":")
    *outer, name = names.split(".")
    owner = functools.reduce(getattr, outer, import_module(module))
    function = getattr(owner, name)
    own = clocked(stage, function)
    setattr(owner, name, own)
    for other in list(sys.modules.values()):
        for known, value in list(vars(other).items()):
            if value is function:
                setattr(other, known, own)


def keep_telling() -> None:
    """Write twice a second what a forked process has spent."""
    _local.times.clear()
    _threads[:] = [_local.times]  # the only thread that a fork leaves

    def tell() -> None:
        while True:
            time.sleep(0.5)
            total: Times = defaultdict(int)
            for times in _threads:
                for stage, spent in list(times.items()):
                    total[stage] += spent
            new = FOLDER / f"{os.getpid()}.new"
            new.write_text(json.dumps(total))
            new.rename(FOLDER / str(os.getpid()))

    threading.Thread(target=tell, daemon=True).start()


def main() -> None:
    for places in STAGES.values():
        for place in places:
            import_module(place.partition(":")[0])
    for stage, places in STAGES.items():
        for place in places:
            put_clock(stage, place)
    os.register_at_fork(after_in_child=keep_telling)
    from receiver import cli  # with the clocks on

    cli.main()


main()
