"""What bounds the aims of summary.py that are not reached, by measurement.

    python bench/bounds.py [--write]

Who has the cores under full load (`budget.py`); floors: the same rows written and the same calls
made by the drivers alone, under the yardstick's own server (`floors.py`); the CPU of one
notification by stage (`clocked.py`); and the pages that one run writes, by table and index
(`pages.py`). All loads take turns.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import delivery
import floors
import intake
from budget import CORES, Seen, loaded, median
from hosts import Postgres, database_server, new_ledger, replicas
from pages import FRAME, Log, kept
from rich.console import Console
from rich.table import Table
from stage import ROOT, in_turns, machine, need, ours, parts, target, tree, write_between

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
SECONDS = int(os.environ.get("BENCH_SECONDS", "10"))
MARKS = "<!-- bounds: written by bounds.py -->\n", "<!-- end of the bounds -->\n"
MOST = 12
"""Rows of a table of stages or pages; the rest is one row."""
BARE, WEBHOOK, CURL = "bare Flask view", "webhook", "webhook running curl"
INTAKE, FROZEN = "intake, SQLite", "intake, SQLite, its dispatcher frozen"
INTAKE_FLOOR, BARE_ON_ONE = "floor of the intake, SQLite", "bare Flask view, kept to one core"
SHARED, SHARED_FLOOR = "two intakes, PostgreSQL", "floor of two intakes, PostgreSQL"
WHOLE, WHOLE_FLOOR = "the whole way, SQLite", "floor of the whole way, SQLite"
WORKERS, WORKERS_FLOOR = "the whole way, PostgreSQL", "floor of the whole way, PostgreSQL"


@dataclass(frozen=True)
class Aim:
    """A ratio that is aimed at, what has it, to which yardstick, and the floor of it.

    ``processes`` is how many Python processes each of its parts has; each keeps to one core.
    """

    of: str
    to: str
    floor: str
    ratio: float
    processes: Mapping[str, int]


RATES = (
    Aim(INTAKE, BARE, INTAKE_FLOOR, 1.0, {"intake": 1}),
    Aim(SHARED, WEBHOOK, SHARED_FLOOR, 0.9, {"intake": 2}),
    Aim(WHOLE, CURL, WHOLE_FLOOR, 3.5, {"intake": 1, "dispatcher": 1}),
    Aim(WORKERS, CURL, WORKERS_FLOOR, 2.0, {"intake": 1, "workers": 2}),
)
CPU_AIM, BYTES_AIM = 1.8, 15.0
"""Milliseconds of one notification, and kilobytes that the dispatcher writes a run."""


def subjects(server: Postgres, seconds: int) -> dict[str, Callable[[], Seen]]:
    """Everything that is loaded, in its turns."""
    pg = partial(floors.in_postgresql, server, seconds)
    return {
        BARE: lambda: Seen(intake.bare(seconds).rate),
        BARE_ON_ONE: partial(floors.bare, seconds),
        INTAKE: partial(stored, seconds),
        FROZEN: partial(stored, seconds, frozen=True),
        INTAKE_FLOOR: partial(floors.on_sqlite, seconds, calls=False),
        WEBHOOK: lambda: Seen(intake.webhook(seconds).rate),
        SHARED: partial(shared, server, seconds),
        SHARED_FLOOR: partial(pg, intakes=2, dispatchers=0),
        CURL: partial(curl, seconds),
        WHOLE: lambda: whole(delivery.on_sqlite(), seconds),
        WHOLE_FLOOR: partial(floors.on_sqlite, seconds, calls=True),
        WORKERS: lambda: whole(delivery.on_postgresql(server, 2), seconds),
        WORKERS_FLOOR: partial(pg, intakes=1, dispatchers=2),
    }


def stored(seconds: int, *, frozen: bool = False) -> Seen:
    """The intake on SQLite; its dispatcher waits, and holds no lock, when it is frozen."""
    with ours(intake.NOTHING) as (port, _, process):
        own, dispatcher = parts(process.pid)
        if frozen:
            os.kill(dispatcher, signal.SIGSTOP)
        try:
            return loaded([port], {"intake": [own], "dispatcher": [dispatcher]}, seconds)
        finally:
            os.kill(dispatcher, signal.SIGCONT)


def shared(server: Postgres, seconds: int) -> Seen:
    assert server.process
    with (
        new_ledger(server) as database,
        replicas(database, intake.NOTHING, intakes=2, workers=0) as started,
    ):
        pids = {"intake": [one.pid for one in started.intakes], "server": [server.process.pid]}
        return loaded(started.ports, pids, seconds)


def curl(seconds: int) -> Seen:
    seen = delivery.webhook(seconds)
    return Seen(seen.accepted, seen.delivered)


def whole(started: AbstractContextManager[delivery.Subject], seconds: int) -> Seen:
    with started as subject:
        return loaded([subject.port], subject.pids, seconds, subject.log)


Stages = dict[str, dict[str, float]]
"""Of each part, the share that each stage has of its CPU."""


def stages(start: Callable[..., AbstractContextManager[delivery.Subject]], seconds: int) -> Stages:
    """Clock the stages of one load of the whole way."""
    launcher = (sys.executable, str(ROOT / "bench/clocked.py"))
    with tempfile.TemporaryDirectory() as folder, start(*launcher, BENCH_CLOCKS=folder) as subject:
        before = _clocks(Path(folder), subject)
        seen = delivery.full_load(subject, seconds)
        time.sleep(1)  # each process tells twice a second
        after = _clocks(Path(folder), subject)
    found: Stages = {}
    for part in after:
        whole = seen.costs[part].cpu * seen.calls
        spent = after[part] - before.get(part, Counter())
        own = {name: ns / 1e6 / whole for name, ns in spent.items()}
        found[part] = own | {"in none of these: threads, sockets": 1 - sum(own.values())}
    return found


def _clocks(folder: Path, subject: delivery.Subject) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    for part, pids in subject.pids.items():
        files = [folder / str(one) for pid in pids for one in tree(pid)]
        clocks = [Counter(json.loads(file.read_text())) for file in files if file.exists()]
        if clocks:
            found[part] = sum(clocks, Counter[str]())
    return found


@dataclass(frozen=True)
class Written:
    """What the dispatcher has written of one run beside checkpoints, and where.

    Attributes:
        pages: of each table and index, pages in the log a run.
        page: kilobytes of a page there.
        runs: how many share a transaction.
        trees: how many tables and indexes a transaction touches.
        lines: kilobytes beside the ledger: lines on stdout.
    """

    pages: Mapping[str, float]
    page: float
    runs: float
    trees: float
    lines: float

    @property
    def logged(self) -> float:
        """Kilobytes of the log a run."""
        return sum(self.pages.values()) * self.page


def written(seconds: int) -> Written:
    """Load the whole way while the log keeps every page."""
    with (
        tempfile.TemporaryDirectory() as copies,
        target("204") as (port, calls),
        ours(delivery.RULES.replace("@@PORT@@", str(port))) as (own, home, process),
        kept(home / "ledger.db"),
    ):
        subject = delivery.Subject(own, calls, {"dispatcher": [parts(process.pid)[1]]})
        seen = delivery.full_load(subject, seconds)
        for file in home.glob("ledger.db*"):
            shutil.copy(file, copies)
        log = Log.read(Path(copies, "ledger.db"))
    mine = [one for one in log.transactions if not log.of_intake(one)]
    pages, page = log.by_owner(mine), (log.size + FRAME) / 1000
    return Written(
        {name: count / seen.calls for name, count in pages.items()}, page,
        seen.calls / len(mine), log.trees(mine) / len(mine),
        seen.costs["dispatcher"].written - page * pages.total() / seen.calls,
    )  # fmt: skip


@dataclass(frozen=True)
class Found:
    """All that was measured."""

    loads: Mapping[str, Seen]
    stages: Mapping[str, Stages]
    written: Written


def measure() -> Found:
    with database_server() as server:
        rounds = in_turns(subjects(server, SECONDS), ROUNDS)
        clocked = {
            "SQLite": stages(delivery.on_sqlite, SECONDS),
            "PostgreSQL": stages(partial(delivery.on_postgresql, server, 2), SECONDS),
        }
    return Found({name: median(one) for name, one in rounds.items()}, clocked, written(SECONDS))


Rows = list[list[str]]


def tables(found: Found) -> list[Rows]:
    """Four tables, each with its headings first."""
    return [cores(found), costs(found), by_stage(found), by_page(found.written)]


def cores(found: Found) -> Rows:
    names = ("intake", "dispatcher", "workers", "server", "load", "target", "others", "idle")
    seen = {name: one for name, one in found.loads.items() if one.cores}
    rows = [["Cores under full load", "accepted /s", "delivered /s", *names]]
    for name, one in seen.items():
        delivered = f"{one.delivered:.0f}" if one.delivered else ""
        own = [f"{one.cores[part]:.2f}" if part in one.cores else "" for part in names]
        rows.append([name, f"{one.accepted:.0f}", delivered, *own])
    return rows


def costs(found: Found) -> Rows:
    names = ("intake", "dispatcher", "workers", "server", "target")
    rows = [["CPU of one notification, ms", *names, "load", "in all"]]
    for name, one in found.loads.items():
        if one.costs:
            own = [f"{one.costs[part].cpu:.2f}" if part in one.costs else "" for part in names]
            rows.append([name, *own, f"{one.load:.2f}", f"{one.each:.2f}"])
    return rows


def by_stage(found: Found) -> Rows:
    """The shares of the clocked run, of the CPU of the one without clocks."""
    columns: list[tuple[str, str, Mapping[str, float], float]] = []
    for engine, whole_way in (("SQLite", WHOLE), ("PostgreSQL", WORKERS)):
        measured = found.loads[whole_way].costs
        for part, own_shares in found.stages[engine].items():
            columns.append((engine, part, own_shares, measured[part].cpu * 1000))
    rows = [["CPU of one notification by stage, µs", *(f"{e}: {p}" for e, p, _, _ in columns)]]
    names = Counter[str]()
    for _, _, shares, each in columns:
        names.update({name: int(share * each) for name, share in shares.items()})
    for name, _ in names.most_common():
        own = [f"{s[name] * each:.0f}" if name in s else "" for _, _, s, each in columns]
        rows.append([name, *own])
    return [*rows, ["in all", *(f"{each:.0f}" for *_, each in columns)]]


def by_page(seen: Written) -> Rows:
    rows = [["Written a run by the dispatcher, in the log", "pages", "KB"]]
    ordered = Counter(seen.pages).most_common()
    left = sum(pages for _, pages in ordered[MOST:])
    shown = [*ordered[:MOST], (f"{len(ordered) - MOST} others", left)]
    return rows + [[name, f"{pages:.2f}", f"{pages * seen.page:.2f}"] for name, pages in shown]


def sentences(found: Found) -> list[str]:
    """What bounds each aim, and what it would take."""
    return [*(of_rate(found, aim) for aim in RATES), of_cpu(found), of_bytes(found)]


def of_rate(found: Found, aim: Aim) -> str:
    seen, base = found.loads[aim.of], found.loads[aim.to]
    floor, wanted = found.loads[aim.floor], aim.ratio * found.loads[aim.to].rate
    text = (
        f"**{aim.of}, to {aim.to}**: {seen.rate / base.rate:.2f} ({seen.rate:.0f} to "
        f"{base.rate:.0f} /s); the aim of {aim.ratio:g} is {wanted:.0f} /s. The floor reaches "
        f"{floor.rate / base.rate:.2f} ({floor.rate:.0f} /s). At the aim {CORES} cores have "
        f"{CORES * 1000 / wanted:.2f} ms for everything of a notification; ours takes "
        f"{seen.each:.2f}, the floor {floor.each:.2f}, the load itself {seen.load:.2f} of both. "
    )
    text += _takes(aim, seen, wanted)
    if aim.of == INTAKE:
        frozen, one = found.loads[FROZEN], found.loads[BARE_ON_ONE]
        text += (
            f" With its dispatcher frozen, which plans each beside the load on the other core, "
            f"it accepts {frozen.rate:.0f} ({frozen.rate / base.rate:.2f}). The bare view kept to "
            f"one core, as Postsync's processes are, answers {one.rate:.0f}, and stores nothing."
        )
    return text


def _takes(aim: Aim, seen: Seen, wanted: float) -> str:
    """What it would take: of all cores, of a process's own core, or of how they are shared."""
    over = seen.each - CORES * 1000 / wanted
    if over > 0:
        return f"It would take {over:.2f} ms less."
    for part, processes in aim.processes.items():
        room, own = processes * 1000 / wanted, seen.costs[part].cpu
        if own > room:
            return (
                f"That would do; but one Python process keeps to one core, so the {part} has "
                f"{room:.2f} ms for each, and takes {own:.2f}."
            )
    shares = ", ".join(f"{part} {cores:.2f}" for part, cores in seen.cores.items())
    return f"That would do; what bounds it is how the cores were shared: {shares}."


def of_cpu(found: Found) -> str:
    seen, floor = found.loads[WHOLE], found.loads[WHOLE_FLOOR]
    ours_, theirs = (sum(_own(one).values()) for one in (seen, floor))
    return (
        f"**CPU of one notification**: {ours_:.2f} ms, aim {CPU_AIM:g}. The floor takes "
        f"{theirs:.2f} ({_parts(floor)}), with Flask and gunicorn as they are, and decides "
        f"nothing. To reach the aim, {max(0.0, ours_ - CPU_AIM):.2f} ms have to go; the largest "
        f"stages of the dispatcher are {_largest(found)}."
    )


def _own(seen: Seen) -> dict[str, float]:
    return {name: cost.cpu for name, cost in seen.costs.items() if name != "target"}


def _parts(seen: Seen) -> str:
    return " + ".join(f"{name} {value:.2f}" for name, value in _own(seen).items())


def _largest(found: Found) -> str:
    shares = found.stages["SQLite"]["dispatcher"]
    each = found.loads[WHOLE].costs["dispatcher"].cpu
    most = Counter(shares).most_common(4)
    return ", ".join(f"{name} ({share * each:.2f} ms)" for name, share in most)


def of_bytes(found: Found) -> str:
    seen, whole_way = found.written, found.loads[WHOLE].costs["dispatcher"].written
    moved = whole_way - seen.logged - seen.lines
    first = seen.trees / seen.runs * seen.page
    text = (
        f"**Written a run**: {whole_way:.1f} KB, aim {BYTES_AIM:g}: {seen.logged:.1f} in the log, "
        f"{moved:.1f} moved from it into the file, {seen.lines:.1f} of lines on stdout. One "
        f"transaction has {seen.runs:.1f} runs and touches {seen.trees:.1f} tables and indexes; "
        f"one page of each is {first:.1f} KB a run, before any of them has a second."
    )
    over = whole_way - BYTES_AIM
    if 0 < over < first:
        runs = seen.runs * first / (first - over)
        return f"{text} {runs:.0f} runs a transaction would write {BYTES_AIM:g} KB."
    return text


def markdown(found: Found) -> str:
    others = max(one.cores.get("others", 0.0) for one in found.loads.values())
    head = (
        f"Of {datetime.now(UTC):%Y-%m-%d}, {machine()}. Rounds in turns: {ROUNDS}, of {SECONDS} s "
        f"each; medians. Others had up to {others:.1f} of the cores meanwhile.\n\n"
    )
    text = head + "".join(f"- {one}\n" for one in sentences(found))
    for headings, *rows in tables(found):
        lines = [headings, ["---", *["---:"] * (len(headings) - 1)], *rows]
        text += "\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)
    return text


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--write", action="store_true")
    asked = options.parse_args()
    need("wrk", "webhook", "nginx", "curl", "taskset")
    found = measure()
    console = Console(width=160)
    for headings, *rows in tables(found):
        table = Table(*headings)
        for column in table.columns[1:]:
            column.justify = "right"
        for row in rows:
            table.add_row(*row)
        console.print(table)
    for one in sentences(found):
        console.print(one.replace("**", ""))
    if asked.write:
        write_between(MARKS, markdown(found))


if __name__ == "__main__":
    main()
