"""All that `bounds.py` measures."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import delivery
from bounds_loads import subjects
from budget import Seen, median
from clocks import Stages, stages
from hosts import database_server
from stage import in_turns
from written import Written, written

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
SECONDS = int(os.environ.get("BENCH_SECONDS", "10"))


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
