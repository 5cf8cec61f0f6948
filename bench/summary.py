"""The figures that are aimed at, in one run: each with its yardstick, the ratio and the aim.

    python bench/summary.py [--quick] [--json] [--write]

All take turns; medians of three rounds. `--quick` is one short round, to see that it works: about
a minute. `--json` prints what was measured instead, `--write` puts the tables into README.md too.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import delivery
import intake
import matching
import psycopg
from hosts import Postgres, database_server
from loading import body_template, paced, post
from stage import ROOT, Cost, Meter, in_turns, machine, medians, need, write_between
from worst import worst

RATE = 100
"""Notifications a second that leave the machine mostly idle."""
LARGE = 5_000
MARKS = "<!-- summary: written by summary.py -->\n", "<!-- end of the summary -->\n"


@dataclass(frozen=True)
class Aim:
    """A figure: what it was on 28 November (of the code of the 21st), and what is aimed at.

    ``of`` and ``to`` name what is measured; with ``to``, the figure is the ratio of the two.
    """

    name: str
    before: float
    aim: float
    of: str
    to: str = ""
    unit: str = ""

    def met(self, value: float) -> bool:
        """Whether it is reached: a ratio at least, all others at most."""
        return value >= self.aim if self.to else value <= self.aim


AIMS = (
    Aim("intake on SQLite, one process, to a bare Flask view", 0.59, 1.0, "intake", "bare"),
    Aim(
        "intake on PostgreSQL, two intakes, to webhook",
        0.43, 0.9, "intake, PostgreSQL", "webhook",
    ),
    Aim("the whole way on SQLite, to webhook running curl", 1.09, 3.5, "delivered", "curl"),
    Aim(
        "the whole way on PostgreSQL, two workers, to webhook running curl",
        0.68, 2.0, "delivered, PostgreSQL", "curl",
    ),
    Aim("memory of all processes under that load, SQLite", 173, 160, "memory", unit="MB"),
    Aim(
        "CPU of one notification with one HTTP run, accepted to done, under full load",
        5.6, 1.8, "CPU", unit="ms",
    ),
    Aim(f"the same at {RATE} a second", 5.6, 1.8, "CPU, paced", unit="ms"),
    Aim("written a run, SQLite", 48, 15, "written", unit="KB"),
    Aim(
        "10,000 rules told apart by a resource's name only, one notification of 40 resources",
        54, 2, "rules", unit="ms",
    ),
    Aim(
        f"one notification of {LARGE:,} resources, one changed: written",
        792, 150, "large", unit="KB",
    ),
    Aim("largest notification, any shape: memory of any process", 1900, 300, "worst", unit="MB"),
)  # fmt: skip
ARGO_EVENTS = (
    "Argo Events at the same guarantees, the whole way, to webhook running curl (28 November)"
)
"""A JetStream bus with `sync_interval: always`, the sensor with `atLeastOnce: true`."""


@dataclass(frozen=True)
class Seen:
    """Figures by name, and what each part of an engine spent on one notification."""

    figures: Mapping[str, float]
    costs: Mapping[str, Mapping[str, Cost]]


def rate(name: str, run: Callable[[], Any]) -> Seen:
    return Seen({name: run().rate}, {})


def whole_way(name: str, run: Callable[[], delivery.Result]) -> Seen:
    seen = run()
    figures = {name: seen.delivered}
    if name == "delivered":
        figures |= {"memory": seen.memory, "CPU": sum(cost.cpu for cost in seen.costs.values())}
        figures["written"] = seen.costs["dispatcher"].written
    return Seen(figures, {name: seen.costs} if seen.costs else {})


def at_a_pace(seconds: int) -> Seen:
    with delivery.on_sqlite() as subject:
        meter, number = Meter(subject.pids), RATE * seconds
        paced([subject.port], number, RATE)
        costs = meter.each(delivery.drain(subject.log, number))
        return Seen({"CPU, paced": sum(cost.cpu for cost in costs.values())}, {"paced": costs})


def large(number: int = 10) -> Seen:
    """Each another Application's, so that nothing is known of it."""
    with delivery.on_sqlite() as subject:
        meter, body = Meter({"dispatcher": subject.pids["dispatcher"]}), body_template(LARGE)
        for own in range(number):
            post(subject.port, body, f"large-{own}")
        costs = meter.each(delivery.drain(subject.log, number))
        return Seen({"large": costs["dispatcher"].written}, {})


def largest() -> Seen:
    """Those that are refused count too: they have been in memory."""
    seen = worst()
    most = {f"worst: {body}": max(own["intake"], own["dispatcher"]) for body, own in seen.items()}
    return Seen(most | {"worst": max(most.values())}, {})


def subjects(server: Postgres, seconds: int) -> dict[str, Callable[[], Seen]]:
    rules = matching.names_only(10_000)
    return {
        "bare": partial(rate, "bare", partial(intake.bare, seconds)),
        "intake": partial(rate, "intake", partial(intake.stored, seconds)),
        "webhook": partial(rate, "webhook", partial(intake.webhook, seconds)),
        "intake, PostgreSQL": partial(
            rate, "intake, PostgreSQL", partial(intake.in_postgresql, server, 2, seconds)
        ),
        "curl": partial(whole_way, "curl", partial(delivery.webhook, seconds)),
        "delivered": partial(whole_way, "delivered", partial(delivery.postsync, seconds)),
        "delivered, PostgreSQL": partial(
            whole_way, "delivered, PostgreSQL", partial(delivery.in_postgresql, server, 2, seconds)
        ),
        "paced": partial(at_a_pace, seconds),
        "large": large,
        "worst": largest,
        "rules": lambda: Seen({"rules": rules()}, {}),
    }


def counts_on_sqlite(seconds: int) -> tuple[float, float]:
    """Statements and transactions of one notification, under full load."""
    with tempfile.NamedTemporaryFile() as counts:
        launcher = (sys.executable, str(ROOT / "bench/counted.py"))
        with delivery.on_sqlite(*launcher, BENCH_COUNTS=counts.name) as subject:
            before = Path(counts.name).read_bytes()
            calls = delivery.full_load(subject, seconds).calls
            own = Path(counts.name).read_bytes()[len(before) :]
        return own.count(b"s") / calls, own.count(b"t") / calls


def counts_on_postgresql(server: Postgres, seconds: int) -> tuple[float, float]:
    """The same; the server counts, once it was started with what counts statements."""
    counting = ("shared_preload_libraries", "pg_stat_statements.track_utility")
    for name, value in zip(counting, ("pg_stat_statements", "off"), strict=True):
        server.options.extend(("-c", f"{name}={value}"))
    server.stop()
    server.start()
    with (
        psycopg.connect(server.url(), autocommit=True) as connection,
        delivery.on_postgresql(server, 2) as subject,
    ):
        connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")

        def read() -> tuple[int, int]:
            time.sleep(2)  # a session tells of its last transactions after a second
            row = connection.execute(COUNTED).fetchone()
            assert row
            return int(row[0]), int(row[1])

        before = read()
        calls = delivery.full_load(subject, seconds).calls
        statements, transactions = (now - then for now, then in zip(read(), before, strict=True))
        return statements / calls, transactions / calls


COUNTED = (
    "SELECT (SELECT SUM(calls) FROM pg_stat_statements WHERE dbid = datid), xact_commit"
    " FROM pg_stat_database WHERE datname LIKE 'bench_%'"
)


def measure(rounds: int, seconds: int) -> dict[str, Any]:
    """Everything, as `--json` prints it."""
    with database_server() as server:
        seen = in_turns(subjects(server, seconds), rounds)
        counts = {
            "SQLite": counts_on_sqlite(seconds),
            "PostgreSQL": counts_on_postgresql(server, seconds),
        }
    every = [one for each in seen.values() for one in each]
    figures: dict[str, list[float]] = {}
    for name, value in (item for one in every for item in one.figures.items()):
        figures.setdefault(name, []).append(round(value, 3))
    named = {name for one in every for name in one.costs}
    costs = {
        name: medians([one.costs[name] for one in every if name in one.costs])
        for name in sorted(named)
    }
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(), "rounds": rounds, "seconds": seconds,
        "aims": [row(aim, figures) for aim in AIMS],
        "figures": figures,
        "costs": {
            name: {part: asdict(cost) for part, cost in parts.items()}
            for name, parts in costs.items()
        },
        "counts": {
            name: dict(zip(("statements", "transactions"), found, strict=True))
            for name, found in counts.items()
        },
    }  # fmt: skip


def row(aim: Aim, figures: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """What was reached of an aim."""
    value = statistics.median(figures[aim.of])
    base = statistics.median(figures[aim.to]) if aim.to else None
    reached = value / base if base else value
    return {
        "name": aim.name, "before": aim.before, "value": value, "yardstick": base,
        "reached": reached, "aim": aim.aim, "unit": aim.unit, "met": aim.met(reached),
    }  # fmt: skip


def tables(found: Mapping[str, Any]) -> str:
    """What was measured, in Markdown."""
    head = (
        f"Of {found['at'][:10]}, {found['machine']}. Rounds in turns: {found['rounds']}, of "
        f"{found['seconds']} s each; medians.\n"
    )
    lines = ["", "| Figure | Before | Now | Aim | Postsync | Yardstick |", "|---|" + "---:|" * 5]
    for one in found["aims"]:
        unit = f" {one['unit']}" if one["unit"] else ""
        values = [f"{number(one[key])}{unit}" for key in ("before", "reached", "aim")]
        rates = [f"{one[key]:.0f} /s" if one["yardstick"] else "" for key in ("value", "yardstick")]
        values[1] = f"**{values[1]}**" if one["met"] else values[1]
        lines.append(" | ".join([f"| {one['name']}", *values, *rates]) + " |")
    lines.append(f"| {ARGO_EVENTS} | | 2.6 to 3.7 | | | |")
    lines += ["", "| Of one notification | CPU | Written |", "|---|---:|---:|"]
    for name, parts in found["costs"].items():
        for part, cost in parts.items():
            lines.append(f"| {name}: {part} | {cost['cpu']:.2f} ms | {cost['written']:.0f} KB |")
    lines += ["", "| Of one notification | Statements | Transactions |", "|---|---:|---:|"]
    for name, counts in found["counts"].items():
        lines.append(f"| {name} | {counts['statements']:.1f} | {counts['transactions']:.2f} |")
    return head + "\n".join(lines) + "\n"


def number(value: float) -> str:
    return f"{value:.2f}" if value < 100 else f"{value:,.0f}"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    for option in ("--quick", "--json", "--write"):
        options.add_argument(option, action="store_true")
    asked = options.parse_args()
    need("wrk", "webhook", "nginx", "curl")
    found = measure(1, 3) if asked.quick else measure(3, 10)
    text = tables(found)
    print(json.dumps(found, indent=2) if asked.json else text)
    if asked.write:
        write_between(MARKS, text)


if __name__ == "__main__":
    main()
