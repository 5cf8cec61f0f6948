"""What it costs to know the truth: a sync verified by its live objects, and what others feel of it.

The API server is the real one of the tests, without its cache for watches; Argo CD's API is the
tests' stand-in over it, which has compared the Application since its operation's end, as Argo CD
has when it notifies. 300 objects of three kinds in two namespaces were applied by server-side
apply, ten of them otherwise than before.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from counting import counting
from live_cluster import Cluster, connection, started
from loading import TELL, Load, load, post
from rich.console import Console
from rich.table import Table
from stage import cpu, machine, memory, need, ours, parts, peak

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
SLICE = int(os.environ.get("BENCH_SECONDS", "2"))
SLICES = 6 * ROUNDS
"""Seconds of each load, and how many: so short that a change of what else runs falls on all."""
SOME, MANY = 1000, 5000
"""Applications: while a sync is verified, and while the intake is measured."""
PATIENCE = 150
RULES = """
version: 1
rules:
- name: tell
  match: {resources: [{kind: [ConfigMap, Secret, ServiceAccount]}]}
  actions: [{uses: log.message, with: {text: "${{ resource.name }}"}}]
"""
OTHERS = """
version: 1
rules:
- name: other
  match: {resources: [{kind: Deployment}]}
  actions: [{uses: log.message, with: {text: x}}]
"""
WAYS = ("", "an API server", "Argo CD's API")
"""How the sender is connected; "": not at all."""
NAMES = {"": "no connection"}
Name = tuple[str, str]
"""A way, and what the rules are."""
Seen = TypeVar("Seen")


@dataclass(frozen=True)
class Verified:
    """What one sync has cost until it was planned.

    Requests by what they were for; requests for one list at most; bytes; seconds since it was
    accepted; megabytes that the dispatcher has had at most; runs.
    """

    asked: str
    lists: int
    bytes: int
    seconds: float
    peak: float
    runs: int


def verified(cluster: Cluster, way: str, rules: str) -> Verified:
    """Notify of one sync."""
    by_argocd = way == "Argo CD's API"
    target = cluster.argocd.url if by_argocd else cluster.kube.url
    with counting(target, verify=by_argocd or str(cluster.kube.authority)) as counted:
        settings = connection(cluster, way, counted.url, intake="notifications")
        with ours(rules, **settings) as (port, home, process):
            body = cluster.sync()
            if post(port, body, "") != 202:
                sys.exit("the notification was not accepted")
            seconds, runs = planned(home / "ledger.db")
            asked = ", ".join(f"{number} {kind}" for kind, number in counted.asked.items())
            lists = max(counted.lists.values(), default=0)
            peak_of = peak(parts(process.pid)[1])
            return Verified(asked or "0", lists, counted.bytes, seconds, peak_of, runs)


def planned(ledger: Path) -> tuple[float, int]:
    """Wait until the only sync is planned; seconds since it was accepted, and its runs."""
    until = time.monotonic() + PATIENCE
    names = "'notification.accepted', 'sync.planned'"
    query = f"SELECT name, at FROM audit_events WHERE name IN ({names})"
    with sqlite3.connect(ledger) as reading:
        while len(at := dict(reading.execute(query).fetchall())) < 2:
            if time.monotonic() > until:
                sys.exit("it was not planned")
            time.sleep(0.05)
        (runs,) = reading.execute("SELECT COUNT(*) FROM runs").fetchone()
    return (at["sync.planned"] - at["notification.accepted"]) / 1000, runs


def settle(pid: int) -> None:
    """Wait until the dispatcher has been quiet for two seconds: all Applications are known."""
    dispatcher = parts(pid)[1]
    time.sleep(3)
    for _ in range(PATIENCE):
        before = cpu(dispatcher)
        time.sleep(2)
        if cpu(dispatcher) - before < 0.1:
            return
    sys.exit("the dispatcher does not come to rest")


def watching(cluster: Cluster, way: str) -> float:
    """Megabytes of the dispatcher's process when all Applications are known."""
    with ours(OTHERS, **connection(cluster, way)) as (_, _, process):
        settle(process.pid)
        return memory(parts(process.pid)[1])


@dataclass
class Subject:
    """A service whose intake is measured in slices, and which is frozen between them.

    Attributes:
        name: how it is connected, and what the rules are.
        port: of its intake.
        pid: of its process group.
        loads: what was seen in each slice.
        spent: seconds of CPU in all of them, of the intake and of the dispatcher.
    """

    name: Name
    port: int
    pid: int
    loads: list[Load] = field(default_factory=list)
    spent: tuple[float, float] = (0.0, 0.0)

    def freeze(self) -> None:
        """Leave the machine to others."""
        os.killpg(self.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """Do what there is to do."""
        os.killpg(self.pid, signal.SIGCONT)

    def measure(self) -> None:
        """Load its intake for a slice."""
        self.go_on()
        before = self._cpu()
        tag = f"{len(self.loads)}-"
        self.loads.append(load(self.port, "/v1/notifications", seconds=SLICE, tag=tag))
        after = self._cpu()
        self.freeze()
        self.spent = (self.spent[0] + after[0] - before[0], self.spent[1] + after[1] - before[1])

    def _cpu(self) -> tuple[float, float]:
        intake, dispatcher = parts(self.pid)
        return cpu(intake), cpu(dispatcher)

    def each(self, process: int) -> str:
        """Milliseconds of CPU for a notification."""
        return f"{self.spent[process] * 1000 / sum(one.done for one in self.loads):.2f} ms"


def in_turns(subjects: dict[Name, Callable[[], Seen]]) -> dict[Name, list[Seen]]:
    """Measure each in every round."""
    rounds: dict[Name, list[Seen]] = {name: [] for name in subjects}
    for number in range(ROUNDS):
        for (way, what), run in subjects.items():
            sys.stderr.write(f"round {number + 1} of {ROUNDS}: {way or NAMES['']}; {what}\n")
            rounds[way, what].append(run())
    return rounds


def table(title: str, *columns: str) -> Table:
    """An empty one, whose rows begin with what was measured."""
    made = Table(title=title)
    for column in ("", *columns):
        made.add_column(column, justify="right" if column else "left")
    return made


def verifying(cluster: Cluster) -> Table:
    """One sync of 300 resources by each way, where a rule matches and where none could."""
    kinds = {"a rule for all": RULES, "no rule could match": OTHERS}
    rounds = in_turns(
        {
            (way, what): partial(verified, cluster, way, rules)
            for what, rules in kinds.items()
            for way in WAYS
        }
    )
    made = table(
        f"A sync of 300 resources, medians of {ROUNDS}", "requests", "LISTs of one",
        "KB", "planned after", "at most", "peak of dispatcher", "runs",
    )  # fmt: skip
    for (way, what), seen in rounds.items():
        made.add_row(
            f"{way or NAMES['']}; {what}",
            " or ".join(sorted({one.asked for one in seen})),
            str(max(one.lists for one in seen)),
            f"{statistics.median(one.bytes for one in seen) / 1000:.0f}",
            f"{statistics.median(one.seconds for one in seen):.2f} s",
            f"{max(one.seconds for one in seen):.2f} s",
            f"{statistics.median(one.peak for one in seen):.0f} MB",
            "/".join(sorted({str(one.runs) for one in seen})),
        )
    return made


def feeling(cluster: Cluster) -> Table:
    """The intake with a connection against the same without, in short slices that take turns."""
    kinds = {"no rule could match": OTHERS, "each sync is to be verified": TELL}
    with ExitStack() as stack:
        subjects: dict[Name, Subject] = {}
        for what, rules in kinds.items():
            for way in WAYS:
                service = ours(rules, **connection(cluster, way))
                port, _, process = stack.enter_context(service)
                settle(process.pid)
                one = subjects[way, what] = Subject((way, what), port, process.pid)
                one.freeze()
                stack.callback(one.go_on)
        for number in range(SLICES):
            sys.stderr.write(f"slice {number + 1} of {SLICES}\n")
            for one in list(subjects.values())[:: -1 if number % 2 else 1]:
                one.measure()
    return felt(subjects)


def felt(subjects: dict[Name, Subject]) -> Table:
    """Show what the slices saw."""
    made = table(
        f"Intake while {MANY:,} Applications are watched, {SLICES} slices of {SLICE} s in turns",
        "accepted to that without", "quartiles", "p50", "p99", "intake's CPU",
        "dispatcher's CPU", "not 2xx",
    )  # fmt: skip
    for (way, what), one in subjects.items():
        alone = subjects["", what].loads
        ratios = [mine.rate / other.rate for mine, other in zip(one.loads, alone, strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        made.add_row(
            f"{way or NAMES['']}; {what}",
            f"{middle:.2f}",
            f"{low:.2f} to {high:.2f}",
            f"{statistics.median(seen.p50 for seen in one.loads):.0f} ms",
            f"{statistics.median(seen.p99 for seen in one.loads):.0f} ms",
            one.each(0),
            one.each(1),
            str(sum(seen.failed for seen in one.loads)),
        )
    return made


def main() -> None:
    """Measure, and print the tables."""
    need("wrk")
    console = Console(width=170)
    console.print(machine())
    with started() as cluster:
        cluster.fill(SOME)
        console.print(verifying(cluster))
        for number in (SOME, MANY):
            cluster.fill(number)
            without = watching(cluster, "")
            for way in WAYS[1:]:
                more = watching(cluster, way) - without
                console.print(f"{number:,} Applications watched by {way}: {more:+.0f} MB")
        console.print(feeling(cluster))


if __name__ == "__main__":
    main()
